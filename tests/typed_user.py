"""A program of somebody who uses every public method. It is never run: a type checker reads it (`make check`).

What is wrong in it is marked, and a mark without a fault is a fault: so the checker sees what is right and what is not.
"""
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from llama_nbchat import Call, Chat, ChatMessages, ChatModel, ChatStore, Context, Delta, Engine, Message, Reply, ScriptedModel, ServerModel, Timings, Usage, load, models, view
from llama_nbchat.conversation import Tree
from llama_nbchat.found import Found
from llama_nbchat.store import KeptChat, KeptChats

chat = Chat("model.gguf", "Be brief", temperature=0, font_size=20, overflow="error", footer=False, images=True)
reply = assert_type(chat("Hello", max_tokens=5), Reply)
assert_type(chat.prompt("Hello"), Reply)
assert_type(chat.prompt_stream([{"type": "text", "text": "Hello"}]), Reply)
assert_type(chat.stream("Hello"), Iterator[str])
assert_type(chat.astream("Hello", seed=1), AsyncIterator[str])
assert_type(chat.retry(seed=1), Reply)
assert_type(chat.edit("Hello?"), Reply)
assert_type(chat.resume(), Reply)
assert_type(chat.fork(), Chat)
assert_type(chat.go(chat.tree()[0]), Reply)
assert_type(chat.last, Reply | None)
assert_type(chat.context, Context)
chat.undo(2)
chat.clear()
chat.structured("Who?", dict[str, int], max_tokens=20)
choice = chat.choose("Is it?", ["yes", "no"])
print(choice.probabilities)
assert_type(chat.quote("A text", "What?").quotations, tuple)
chat.export("talk.html", title="A talk", date="May 2026")
chat.watchers.append(lambda reply, delta: print(reply.text, delta.text))
chat.messages, chat.params, chat.font_size, chat.overflow = ChatMessages(), {}, 16, "drop"
print(chat.footer, chat.images, chat.model)
async def awaited(): assert_type(await chat.aprompt("Hello", max_tokens=5), Reply)
assert_type(view([1, 2], 100), str)
chat.save("talk.json", state=True)
assert_type(Chat.load("talk.json", "model.gguf", temperature=0), Chat)
assert_type(Chat.from_messages([{"role": "user", "content": "Hello"}], rerun="append"), Chat)
assert_type(Chat.from_notebook("talk.ipynb", number=0), Chat)
print(chat.rerun, chat.store, chat.tools, chat.max_calls)
chat.ask("Hello")        # pyright: ignore[reportAttributeAccessIssue]
chat.undo("2")           # pyright: ignore[reportArgumentType]

assert_type(reply.text, str)
assert_type(reply.reasoning, str)
assert_type(reply.written, str)
assert_type(reply.usage, Usage)
assert_type(reply.timings, Timings)
assert_type(reply.messages, list[Message])
assert_type(reply.as_dicts(), list[dict])
assert_type(reply.has_answer, bool)
assert_type(reply.wanted, tuple)
assert_type(reply.with_calls, list[tuple[Message, list[Call]]])
assert_type(reply.has_begun, bool)
assert_type(reply.grow(Delta("!"), 0.1), Delta)
assert_type(reply.complete(), Delta)
assert_type(Reply.of([Message("user", "Hello")], before=reply), Reply)
assert_type(Reply.from_dict(reply.as_dict()), Reply)
reply.begin()
reply.end()
print(reply.prompt, reply.calls, reply.finish_reason, reply.interrupted, reply.error, reply.left_out, reply.ended, reply.before)
print(reply.asked, reply.asked_as, reply.language, reply.steps, reply.sent, reply.instead_of, reply.shown_in)
reply.content            # pyright: ignore[reportAttributeAccessIssue]

messages = assert_type(ChatMessages.from_messages([{"role": "user", "content": "Hello"}]), ChatMessages)
messages.append_system_message("Be brief")
messages.append_user_message("Hello")
messages.append_assistant_message("Hello!")
messages.append_turn("How are you?", "Fine", at=2)
messages.cut(1)
messages.go(None)
assert_type(messages.get_messages(), list[dict])
assert_type(messages.before(reply, 1), list[dict])
assert_type(messages.turns, list[Reply])
assert_type(messages.id_of(reply), str)
print(messages.tree(), len(messages), messages[0], list(messages), messages.system, messages.tip, messages.left)

message = assert_type(Message.from_dict({"role": "user", "content": "Hello"}), Message)
assert_type(message.as_dict(), dict)
assert_type(message.text, str)
print(message.role, message.content, message.reasoning, message.tool_calls, message.tool_call_id)
Message(role="user", contents="Hello")   # pyright: ignore[reportCallIssue]


class Parrot(ChatModel):
    def stream(self, messages: list[dict], **params) -> Iterator[Delta]: yield Delta(messages[-1]["content"])


model = load("model.gguf", n_ctx=4096)
print(model.name, model.n_ctx, model.parameters, model.can, model.marks, model.count([]), model.stream([]), Chat(Parrot()), Chat(ScriptedModel("Hi")))
engine = Engine(None)
engine.save_state("talk.state")
engine.load_state("talk.state")
assert_type(engine.count([]), int)
for row in models("qwen"): print(row.name, row.path, row.parameters, row.quantization, row.n_ctx, row.size, row.problem, row.also)
assert_type(models()[0], Found)
load(models()[0], n_ctx=2048)
load("http://localhost:8080", model="qwen3", api_key="...")
assert_type(ServerModel("localhost:8080").count([]), int)
models(3)   # pyright: ignore[reportArgumentType]

store = ChatStore("chats.db")
store.attach(Chat(store=store))
assert_type(store.chats(), KeptChats)
assert_type(store.search("planets")[0], KeptChat)
assert_type(store.open(1, "model.gguf", temperature=0), Chat)
assert_type(store.chats()[0].open(), Chat)
assert_type(store.tree(1), Tree)
store.export(1, "talk.html")
assert_type(store.forget(store.search("planets")), int)
store.forget(before="2026-01-31")
store.clean()
