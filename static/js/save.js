/** Saving what the page holds as a file. */

/** @param {Blob} blob @param {string} name what the file is called */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
