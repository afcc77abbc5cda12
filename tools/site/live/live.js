// The live chat of the front page: starts the model when its button is pressed, and shows what it writes.
import {Conversation, Unable, load} from "./model.js";
import {element, nodes} from "./text.js";

const box = document.getElementById("live-chat");
const settings = JSON.parse(box.dataset.settings);
const conversation = new Conversation(settings);
const part = selector => box.querySelector(selector);
const [start, talk, told, form, progress] = [".live-start button", ".live-talk", ".live-told", "form", "progress"].map(part);
const field = form.elements.prompt;
let loading = null;     // A promise of the engine
let stopping = null;    // What stops the answer that is being written

function show(selector, shown = true) { part(selector).hidden = !shown; }

function tell(text) {
    told.textContent = text;
    told.hidden = !text;
}

function words(error) {
    const text = error instanceof Unable ? error.message : `The model failed: ${error?.message ?? error}`;
    return /[.!?]$/.test(text) ? text : `${text}.`;
}

function state(name, text) {
    box.dataset.state = name;
    part(".live-state").textContent = text;
}

function come(fraction) {
    if (fraction < 1) progress.value = 100 * fraction;
    else {
        progress.removeAttribute("value");    // It starts, for as long as it takes
        part(".live-loading label").textContent = "Starting …";
    }
}

// The engine, loaded with a bar if there is none yet, or none any more.
async function engine() {
    if (loading) return loading;
    show(".live-loading");
    progress.value = 0;
    loading = load(settings, come);
    try { return await loading; }
    catch (error) {
        loading = null;
        throw error;
    }
    finally { show(".live-loading", false); }
}

async function begin() {
    tell("");
    show(".live-start", false);
    state("loading", "loading");
    try {
        await engine();
        state("ready", "ready");
        for (const shown of [".live-suggestions", "form"]) show(shown);
        if (matchMedia("(hover: hover)").matches) field.focus({preventScroll: true});    // Else a keyboard would cover the page
    }
    catch (error) {
        state("start", "");
        tell(`${words(error)} The example on this page shows how it looks.`);
        start.textContent = "Try again";
        show(".live-start");
    }
}

function figures(reply) {
    const speed = reply.speed < 10 ? reply.speed.toFixed(1) : reply.speed.toFixed(0);
    const parts = [`${reply.tokens} tokens`, `${speed}/s`, `${reply.seconds.toFixed(1)} s`];
    if (reply.stopped) parts.unshift("stopped");
    if (reply.cut) parts.unshift("cut: it was too long");
    return parts.join(" · ");
}

function note(text) { talk.append(element("p", "live-line", text)); }

// Follows the answer, unless the reader has scrolled up to read.
function following() {
    const near = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
    return () => { if (near) talk.scrollTop = talk.scrollHeight; };
}

// Draws at most once a frame, whatever comes in between.
function screen(answer) {
    let text = "", waiting = 0;
    function draw() {
        waiting = 0;
        const follow = following();
        answer.replaceChildren(...nodes(text));
        follow();
    }
    return {
        write(whole) {
            text = whole;
            waiting ||= requestAnimationFrame(draw);
        },
        finish() {
            cancelAnimationFrame(waiting);
            draw();
        }
    };
}

function leaveOut(number) {
    if (!number) return;
    for (const turn of [...talk.querySelectorAll(".live-turn")].slice(0, conversation.leftOut)) turn.classList.add("live-left-out");
    note(`The window of the model is full: ${number === 1 ? "the oldest turn is" : `the ${number} oldest turns are`} left out of what it gets.`);
}

function answering(running) {
    show(".live-send", !running);
    show(".live-stop", running);
    for (const suggestion of box.querySelectorAll(".live-suggestion")) suggestion.disabled = running;
    talk.setAttribute("aria-busy", String(running));    // Read aloud when it is complete
    state(running ? "answering" : "ready", running ? "writing" : "ready");
}

async function ask(prompt) {
    if (stopping || !prompt) return;
    stopping = new AbortController();
    tell("");
    field.value = "";
    show(".live-talk");
    leaveOut(conversation.makeRoom(prompt));
    const answer = element("div", "answer");
    const turn = element("div", "live-turn", element("p", "live-prompt", prompt), answer);
    talk.append(turn);
    talk.scrollTop = talk.scrollHeight;
    const drawn = screen(answer);
    answering(true);
    try {
        const reply = await conversation.ask(await engine(), prompt, drawn.write, stopping.signal);
        drawn.finish();
        const follow = following();
        if (reply.text.trim()) turn.append(element("p", "live-figures", figures(reply)));
        else {
            turn.remove();
            field.value ||= prompt;
            note("No word was written, so this is not part of the conversation.");
        }
        follow();
        if (reply.unheard) await restart();
    }
    catch (error) {
        turn.remove();
        field.value ||= prompt;
        tell(words(error));
        if (!(error instanceof Unable)) await restart();
    }
    finally {
        stopping = null;
        answering(false);
    }
}

// What has failed once is loaded anew for the next prompt.
async function restart() {
    const broken = await loading?.catch(() => null);
    loading = null;
    await broken?.exit();
}

start.addEventListener("click", begin);
part(".live-stop").addEventListener("click", () => {
    stopping?.abort();
    field.focus();
});
form.addEventListener("submit", event => {
    event.preventDefault();
    ask(field.value.trim());
});
for (const suggestion of box.querySelectorAll(".live-suggestion")) suggestion.addEventListener("click", () => ask(suggestion.textContent));

state("start", "");
start.disabled = false;
