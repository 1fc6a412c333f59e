// The script of the page: what works without it works better with it. No inline code, no eval.
(() => {
  "use strict";

  const all = (selector, root) => (root || document).querySelectorAll(selector);

  function dress(root) {
    for (const button of all("[data-copy], [data-back], [data-menu]", root)) button.hidden = false;
    for (const button of all("[data-without-script]", root)) button.hidden = true;
    for (const input of all("[data-fragment]", root)) fromFragment(input);
    if (document.body.classList.contains("inside")) sessionStorage.removeItem("code");
    count();
  }

  // the one-time code stands behind the # of the address, which no server and no log sees
  // (it is kept in this window until somebody is in, so that a mistake in the form does not lose it)
  function fromFragment(input) {
    if (location.hash) {
      sessionStorage.setItem("code", decodeURIComponent(location.hash.slice(1)));
      history.replaceState(null, "", location.pathname);
    }
    const code = sessionStorage.getItem("code");
    if (!code || input.value) return;
    input.value = code;
    for (const other of all("[data-fragment-too]")) other.value = code;
    input.readOnly = true;
  }

  // minutes and seconds until a time
  function count() {
    for (const place of all("[data-until]")) {
      const left = Math.max(0, Math.round((Date.parse(place.dataset.until) - Date.now()) / 1000));
      place.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    }
  }

  // a page that came over http may not write to the clipboard: then the text is selected
  async function copied(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      return true;
    } catch {
      const text = button.parentElement.querySelector("code");
      if (text) getSelection().selectAllChildren(text);
      return false;
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined) {
      const word = button.textContent;
      button.textContent = await copied(button) ? "Copied" : "Selected: press Ctrl+C";
      setTimeout(() => { button.textContent = word; }, 2500);
    } else if (button.dataset.back !== undefined) {
      history.back();
    } else if (button.dataset.menu !== undefined) {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      document.body.classList.toggle("menu-open", !open);
    }
  });

  // a choice that decides which fields there are sends its form at once
  document.addEventListener("change", (event) => {
    const chooser = event.target.closest("[data-sends]");
    if (!chooser || !chooser.form) return;
    const draw = chooser.form.querySelector('[name="draw"]');
    if (draw) chooser.form.requestSubmit(draw);
  });

  // a form is sent once
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent === "yes") { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(() => { form.dataset.sent = ""; }, 4000);
    if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", () => { for (const form of all("form")) form.dataset.sent = ""; });

  // a part that asks for itself anew takes from nobody what they have selected or stand on
  const byItself = "[hx-trigger^='every']";
  const names = (one) => ["href", "name", "value", "formaction"].map((each) => one.getAttribute(each)).join(" ");
  let stoodOn = null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    const selected = getSelection();
    const part = event.detail.elt;
    if (part.matches(byItself) && !selected.isCollapsed && selected.containsNode(part, true)) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const at = document.activeElement;
    stoodOn = event.detail.target.matches(byItself) && event.detail.target.contains(at) ? names(at) : null;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (stoodOn === null) return;
    for (const one of all("a, button, input, select, summary", event.target)) {
      if (names(one) === stoodOn) { one.focus({preventScroll: true}); break; }
    }
    stoodOn = null;
  });

  document.addEventListener("htmx:afterSettle", (event) => dress(event.target));
  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.add("scripted");
    dress(document);
    setInterval(count, 1000);
    const onward = document.querySelector("a[data-follow]");
    if (onward) location.assign(onward.href);
    const wrong = document.querySelector("[data-focus]");
    if (wrong) wrong.focus();
  });
})();
