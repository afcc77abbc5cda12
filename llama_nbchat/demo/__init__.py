"The demo model, planets.gguf, and a conversation with it: `python -m llama_nbchat.demo`."
