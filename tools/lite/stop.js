// The stop button. A kernel in the browser can't be interrupted, but a model there listens on a channel while it answers.
const stops = new BroadcastChannel("llama_nbchat:stop");

function listen() {
  const app = window.jupyterapp;
  if (!app) return setTimeout(listen, 200);
  app.commands.commandExecuted.connect((_, done) => {
    if (done.id === "notebook:interrupt-kernel" || done.id === "kernelmenu:interrupt") stops.postMessage("stop");
  });
}

listen();
