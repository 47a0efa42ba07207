// Sets the theme before the first paint: the person's own, or signed out the one last used here.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const { theme } = root.dataset;
    root.dataset.bsTheme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
  };
  try {
    if (!("signedIn" in root.dataset)) root.dataset.theme = localStorage.getItem("architect.theme") ?? root.dataset.theme;
  } catch {} // Storage may be forbidden; the page's own theme stays.
  show();
  dark.addEventListener("change", show);
  addEventListener("a:theme", show);
})();
