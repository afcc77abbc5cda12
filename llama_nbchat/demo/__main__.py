"A conversation of three turns with the demo model, streamed to the terminal."
from llama_nbchat import Chat

prompts = ("Name the planets in the solar system", "Please reverse the list", "Please sort the list by the mass of the planet")
chat = Chat(system_message="Answer in a very concise and accurate way", temperature=0)
for prompt in prompts:
    print(f"> {prompt}\n")
    chat(prompt)
    print()
