// Before the first paint: the remembered theme, so that the page does not flash. A classic script on purpose.
try {
  const theme = localStorage.getItem("sce.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's theme it is.
}
