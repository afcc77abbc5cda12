// What a model has written, as nodes of the page: paragraphs, lists, bold and code. Its text is only ever text; it is never read as HTML.

const ITEM = /^\s*(\d{1,9}[.)]|[-*+])\s+(.*)$/;
const MARKED = /\*\*([^*]+)\*\*|`([^`]+)`/g;

function element(tag, className, ...children) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children);
    return node;
}

// A line: what stands in ** is bold, what stands in ` is code.
function inline(text) {
    const nodes = [];
    let end = 0;
    for (const found of text.matchAll(MARKED)) {
        nodes.push(text.slice(end, found.index), element(found[1] ? "strong" : "code", "", found[1] ?? found[2]));
        end = found.index + found[0].length;
    }
    return [...nodes, text.slice(end)];
}

// The marks of a list stay as they were written, so that whoever copies an answer has them.
function item(mark, text) {
    return element("li", "", element("span", "live-mark", /\d/.test(mark) ? mark : "•"), " ", ...inline(text));
}

export function nodes(text) {
    const blocks = [];
    let lines = null;    // Where the next line goes, if it goes on with a block
    for (const line of text.split("\n")) {
        const found = ITEM.exec(line);
        const tag = found ? (/\d/.test(found[1]) ? "ol" : "ul") : "p";
        if (!line.trim()) { lines = null; continue; }
        if (lines?.localName !== tag) {
            lines = element(tag, "");
            if (found) lines.setAttribute("role", "list");
            blocks.push(lines);
        }
        else if (!found) lines.append("\n");
        lines.append(...(found ? [item(found[1], found[2])] : inline(line)));
    }
    return blocks;
}

export { element };
