// All words of the query must be in a section; a section whose heading has them comes first.
(() => {
  const MOST = 20;
  const plain = text => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  const sections = window.SOFIM_SECTIONS.map(section => ({
    ...section, head: plain(section.title), body: plain([section.lesson, section.title, ...section.text].join(" ")),
  }));
  const query = document.getElementById("query"), count = document.getElementById("count");
  const results = document.getElementById("results");
  const entry = (section, words) => {
    const item = document.createElement("li"), link = document.createElement("a"), text = document.createElement("p");
    link.href = section.href;
    link.textContent = section.title === section.lesson ? section.title : section.lesson + " › " + section.title;
    text.textContent = section.text.find(one => words.some(word => plain(one).includes(word))) || "";
    item.append(link, text);
    return item;
  };
  query.addEventListener("input", () => {
    const words = plain(query.value).split(/\s+/).filter(Boolean);
    const has = (text, all) => words.length > 0 && words[all](word => text.includes(word));
    const found = sections.filter(section => has(section.body, "every"));
    found.sort((a, b) => has(b.head, "some") - has(a.head, "some"));
    results.replaceChildren(...found.slice(0, MOST).map(section => entry(section, words)));
    count.textContent = !words.length ? "" : found.length > MOST ? `${found.length} sections, the first ${MOST}:`
      : `${found.length} ${found.length === 1 ? "section" : "sections"}`;
    if (window.MathJax && MathJax.typesetPromise) MathJax.typesetPromise([results]).catch(() => {});
  });
  document.querySelector("search").hidden = false;
})();
