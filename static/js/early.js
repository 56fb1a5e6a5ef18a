/* Before the first paint, and therefore no module: the theme that was chosen here last time. */
try {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off; the system's theme is used.
}
