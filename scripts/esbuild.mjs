/** How everything of the page is bundled. @type {import("esbuild").BuildOptions & {write: false}} */
export const OPTIONS = {
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
};
