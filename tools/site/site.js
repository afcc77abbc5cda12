// What is folded on a page opens for whoever looks for something in it: by an address, a search, on paper, or all at once.
(() => {
  const folds = () => [...document.querySelectorAll("article details")]
  const open = element => { for (let fold = element?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)))
    if (!target?.closest("details")) return
    open(target)
    target.scrollIntoView()
  }

  function openFound() {   // the search leads to a page with the words that it has found
    const words = (new URLSearchParams(location.search).get("h") || "").toLowerCase().split(/\s+/).filter(Boolean)
    if (words.length) folds().filter(fold => words.every(word => fold.textContent.toLowerCase().includes(word))).forEach(fold => fold.open = true)
  }

  const kept = { get: () => localStorage.getItem("open-all") == "yes", set: all => localStorage.setItem("open-all", all ? "yes" : "no") }

  function openAll(button, all) {
    button.textContent = all ? "Fold again" : "Open all"
    folds().forEach(fold => fold.open = all)
  }

  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector(".open-all")
    if (button) {
      button.hidden = false
      button.onclick = () => { kept.set(!kept.get()); openAll(button, kept.get()) }
      if (kept.get()) openAll(button, true)
    }
    openFound()
    openTarget()
  })
  addEventListener("hashchange", openTarget)
  addEventListener("click", event => { if (event.target.closest?.("a[href*='#']")) setTimeout(openTarget) })   // the same again

  let closed = []
  addEventListener("beforeprint", () => { closed = folds().filter(fold => !fold.open); closed.forEach(fold => fold.open = true) })
  addEventListener("afterprint", () => closed.forEach(fold => fold.open = false))
})()
