// The demo model in this browser, and a conversation with it that stays within its window.

const ANSWER = 512;      // Tokens that are kept free for an answer
const START = 60_000;    // Milliseconds after which a model that has not started is given up
const STOP = 5_000;      // Milliseconds after which an answer that does not stop is given up

export class Unable extends Error {}    // With words for the reader

function here(name) { return new URL(name, import.meta.url).href; }

// What this browser lacks, in words; nothing if it lacks nothing.
export function missing() {
    if (typeof WebAssembly !== "object") return "it has no WebAssembly";
    if (typeof DecompressionStream !== "function") return "it can't unpack compressed files";
    try { new WebAssembly.Memory({address: "i64", initial: 1n}); }
    catch { return "its WebAssembly has no 64-bit memory, as that of today's Chrome, Edge and Firefox has"; }
    return "";
}

// The content of a file. `heard` is told how many bytes have come since it was last told.
async function content(name, heard) {
    const answer = await fetch(here(name)).catch(() => { throw new Unable(`${name} could not be loaded`); });
    if (!answer.ok) throw new Unable(`${name} could not be loaded: the server says ${answer.status}`);
    const reader = answer.body.getReader(), pieces = [];
    for (;;) {
        const {done, value} = await reader.read().catch(() => { throw new Unable(`${name} broke off while it was loaded`); });
        if (done) return new Blob(pieces);
        pieces.push(value);
        heard(value.length);
    }
}

// What a server has not unpacked on the way.
async function unpacked(blob) {
    const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
    if (first !== 0x1f || second !== 0x8b) return blob;
    return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).blob().catch(() => new Blob());
}

// A file that is not as long as it was when the site was built is none of it: wllama would wait for it forever.
function whole(name, blob, size) {
    if (blob.size !== size) throw new Unable(`${name} is damaged, or something else came in its place`);
    return blob;
}

function after(milliseconds) { return new Promise(resolve => setTimeout(resolve, milliseconds)); }

// The engine with the model. `heard` is told the part that has come, from 0 to 1.
export async function load(settings, heard) {
    const lacks = missing();
    if (lacks) throw new Unable(`This browser can't run it: ${lacks}`);
    let come = 0;
    function more(bytes) { come += bytes; heard(Math.min(come / settings.sizes.loads, 1)); }
    const [{Wllama}, program, weights] = await Promise.all([
        import(here("wllama/index.min.js")).catch(() => { throw new Unable("wllama/index.min.js could not be loaded"); }),
        content("wllama/wllama.wasm.gz", more).then(unpacked).then(blob => whole("wllama/wllama.wasm.gz", blob, settings.sizes.program)),
        content(settings.model, more).then(blob => whole(settings.model, blob, settings.sizes.model))]);
    heard(1);
    return started(Wllama, program, weights, settings);
}

async function started(Wllama, program, weights, settings) {
    const address = URL.createObjectURL(new Blob([program], {type: "application/wasm"}));
    function nothing() {}
    let fail;
    const failed = new Promise((_, reject) => { fail = told => reject(new Unable(`The model did not start: ${told?.message ?? told}`)); });
    // Not all that goes wrong in its worker reaches the promise of `loadModel`: some of it is told to the logger, some to nobody.
    const logger = {debug: nothing, log: nothing, warn: nothing, error: fail};
    const engine = new Wllama({default: address}, {suppressNativeLog: true, logger});
    engine.setCompat(null);    // Else older browsers would load another program, from another host
    after(START).then(() => fail("nothing was heard of it for a minute"));
    failed.catch(nothing);
    try { await Promise.race([failed, engine.loadModel([weights], {n_ctx: settings.n_ctx, n_threads: 1, n_gpu_layers: 0, n_parallel: 1, warmup: false})]); }
    catch (error) {
        await engine.exit();
        throw error;
    }
    finally { URL.revokeObjectURL(address); }
    return engine;
}

// Fails a while after a stop: by then the engine has stopped by itself, or hears nothing any more.
function unheard(signal) {
    return new Promise((_, reject) => signal?.addEventListener("abort", () => after(STOP).then(() => reject(Object.assign(new Error(), {name: "AbortError", unheard: true})))));
}

// What was said, and how many tokens each turn takes.
export class Conversation {
    constructor(settings) {
        this.settings = settings;
        this.turns = [];    // {prompt, text, tokens}
        this.leftOut = 0;   // The first turns, which the model no longer gets
    }

    // Nothing that is typed becomes a control token: an invisible joiner within its mark keeps it a text.
    plain(text) {
        for (const mark of this.settings.marks) text = text.replaceAll(mark, `${mark[0]}\u2060${mark.slice(1)}`);
        return text;
    }

    get given() { return this.turns.slice(this.leftOut); }

    get tokens() { return this.given.reduce((sum, turn) => sum + turn.tokens, atMost(this.settings.system)); }

    messages(prompt) {
        const said = this.given.flatMap(turn => [["user", turn.prompt], ["assistant", turn.text]]);
        return [["system", this.settings.system], ...said, ["user", prompt]].map(([role, text]) => ({role, content: this.plain(text)}));
    }

    // Leaves out the oldest turns until prompt and answer fit. Gives their number.
    makeRoom(prompt) {
        const before = this.leftOut;
        while (this.given.length && this.tokens + atMost(this.plain(prompt)) + ANSWER > this.settings.n_ctx) this.leftOut++;
        return this.leftOut - before;
    }

    // An answer. `written` gets the text so far; a stop keeps what was written. A failure leaves the conversation as it was.
    async ask(engine, prompt, written, signal) {
        const turn = {prompt, text: "", tokens: 0}, before = this.tokens, start = performance.now();
        let pieces = 0, reason = null, usage = null, timings = null;
        function heard(chunk) {
            usage = chunk.usage ?? usage;
            timings = chunk.timings ?? timings;
            for (const {delta, finish_reason} of chunk.choices) {
                reason = finish_reason ?? reason;
                if (!delta.content) continue;
                pieces++;
                turn.text += delta.content;
                written(turn.text);
            }
        }
        const answer = engine.createChatCompletion({messages: this.messages(prompt), temperature: 0, max_tokens: ANSWER, stream: true,
            stream_options: {include_usage: true}, abortSignal: signal, onData: heard});
        const stop = await Promise.race([answer, unheard(signal)]).then(() => null, error => this.stop(error));
        const seconds = (performance.now() - start) / 1000, tokens = usage?.completion_tokens ?? pieces;
        const most = atMost(this.plain(prompt)) + tokens;
        turn.tokens = usage ? Math.min(Math.max(usage.prompt_tokens + tokens - before, tokens), most) : most;
        if (turn.text.trim()) this.turns.push(turn);
        return {text: turn.text, tokens, seconds, speed: timings?.predicted_per_second ?? tokens / seconds, stopped: Boolean(stop),
            unheard: Boolean(stop?.unheard), cut: reason === "length"};
    }

    // The error, if it is a stop.
    stop(error) {
        if (error.name === "AbortError") return error;
        if (/exceed|context/i.test(error.message)) throw new Unable(`That is too long: the model's window holds ${this.settings.n_ctx.toLocaleString("en")} tokens`);
        throw error;
    }
}

// A text has at most as many tokens as bytes, and a few around it.
function atMost(text) { return new TextEncoder().encode(text).length + 8; }
