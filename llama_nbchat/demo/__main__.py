"A conversation of three turns with the demo model, streamed to the terminal."
import os
import sys
import warnings

from llama_nbchat import Chat

prompts = ("Name the planets in the solar system", "Please reverse the list",
    "Please sort the list by the mass of the planet")


def main():
    chat = Chat(system_message="Answer in a very concise and accurate way", temperature=0)
    for prompt in prompts:
        print(f"> {prompt}\n", flush=True)
        chat(prompt)
        print(flush=True)


try:
    warnings.simplefilter("ignore")  # of an answer that nobody reads
    main()
except BrokenPipeError:  # the reader has left, as in `python -m llama_nbchat.demo | head -3`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
