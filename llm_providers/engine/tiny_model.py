"""Writes a tiny language model with random weights: a real GGUF file that llama.cpp loads, answering in random words.

It lets everything around a model be tried on a machine that has none: streaming, tokens, JSON schemas, embeddings.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = """
the a of to and in is it that for on with as this be are by from or an at not was will can has have all
code review test task model local remote server request response token prompt answer error retry budget cost
latency provider health queue worker socket stream voice note image search index document chunk vector graph
branch commit merge pull issue bug fix change add remove rename update check build deploy release report plan
user admin project dashboard webhook event message status result value field table row page view form button
fast slow small large open closed new old first last next good bad safe ready pending failed done running
we you they should must may use make find read write send receive store load start stop wait run call return
""".split()
PUNCTUATION = (".", ",", "!", "?", ":", ";")
UNKNOWN, BEGIN, END, TURN_BEGINS, TURN_ENDS = CONTROL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
SPACE = "\u2581"  # how SentencePiece writes a leading space
NEWLINE = "<0x0A>"
NEVER = -20.0
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a llama-architecture model; `width` has to be a multiple of `heads`, that of `kv_heads`."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    context: int


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is llama.cpp's token type; the model may say only what is speakable."""

    text: str
    kind: int
    is_speakable: bool


def write(  # noqa: PLR0913 - the sizes of a model are one set of numbers
    path: Path,
    *,
    seed: int = 7,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    hidden: int = 128,
    context: int = 8192,
    end_bias: float = -0.5,
) -> None:
    """Makes the file at `path`, whole or not at all. The higher `end_bias`, the shorter the answers."""
    import gguf  # noqa: PLC0415 - with numpy the slowest import of the engine, and needed once in its life

    shape = Shape(width=width, layers=layers, heads=heads, kv_heads=kv_heads, hidden=hidden, context=context)
    tokens = vocabulary()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{path.name}.*"):  # by a process that was killed while it wrote
        left.unlink()
    writer = gguf.GGUFWriter(draft, "llama")
    try:
        _describe(writer, shape=shape, tokens=tokens)
        _add_weights(writer, shape=shape, tokens=tokens, seed=seed, end_bias=end_bias)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def vocabulary() -> list[Token]:
    """Control tokens, all bytes, characters, beginnings of words, whole words.

    The tokenizer joins two neighbours only if what they make is a token itself, so each word needs all its
    beginnings. Speakable are words with a leading space, and punctuation.
    """
    from gguf import TokenType  # noqa: PLC0415 - as above

    tokens = {text: Token(text, TokenType.CONTROL, is_speakable=False) for text in CONTROL}
    tokens[UNKNOWN] = Token(UNKNOWN, TokenType.UNKNOWN, is_speakable=False)
    for byte in range(256):
        tokens[f"<0x{byte:02X}>"] = Token(f"<0x{byte:02X}>", TokenType.BYTE, is_speakable=False)
    silent = [chr(code) for code in range(33, 127)] + [SPACE]
    for word in WORDS:
        silent += [text[:end] for text in (word, SPACE + word) for end in range(2, len(text) + 1)]
    for text in silent:
        tokens.setdefault(text, Token(text, TokenType.NORMAL, is_speakable=False))
    for text in (*(SPACE + word for word in WORDS), *PUNCTUATION):
        tokens[text] = Token(text, TokenType.NORMAL, is_speakable=True)
    return list(tokens.values())


def _describe(writer: Any, *, shape: Shape, tokens: list[Token]) -> None:
    import gguf  # noqa: PLC0415 - as above

    writer.add_name("Built-in test model")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)

    texts = [token.text for token in tokens]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores([float(len(text)) for text in texts])
    writer.add_token_types([token.kind for token in tokens])
    writer.add_bos_token_id(texts.index(BEGIN))
    writer.add_eos_token_id(texts.index(END))
    writer.add_eot_token_id(texts.index(TURN_ENDS))
    writer.add_unk_token_id(texts.index(UNKNOWN))
    writer.add_add_bos_token(True)  # noqa: FBT003 - gguf takes it by position only
    writer.add_add_space_prefix(False)  # noqa: FBT003 - with it JSON grammars cannot match the start of an answer
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_weights(writer: Any, *, shape: Shape, tokens: list[Token], seed: int, end_bias: float) -> None:
    import numpy as np  # noqa: PLC0415 - as above

    random = np.random.default_rng(seed)
    width, key_width = shape.width, shape.width * shape.kv_heads // shape.heads

    def add(name: str, *size: int) -> None:
        weights = random.normal(0, 0.4 * width**-0.5, size).astype(np.float32)
        writer.add_tensor(f"{name}.weight", weights)

    def add_ones(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))

    embedding = _embedding(tokens, width=width, random=random)
    writer.add_tensor("token_embd.weight", embedding)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        add_ones(f"{block}.attn_norm")
        add(f"{block}.attn_q", width, width)
        add(f"{block}.attn_k", key_width, width)
        add(f"{block}.attn_v", key_width, width)
        add(f"{block}.attn_output", width, width)
        add_ones(f"{block}.ffn_norm")
        add(f"{block}.ffn_gate", shape.hidden, width)
        add(f"{block}.ffn_up", shape.hidden, width)
        add(f"{block}.ffn_down", width, shape.hidden)
    add_ones("output_norm")
    writer.add_tensor("output.weight", _output(tokens, embedding=embedding, random=random, end_bias=end_bias))


def _embedding(tokens: list[Token], *, width: int, random: Any) -> Any:
    """A word means the same with and without its leading space.

    Column 0 is one everywhere, so it carries biases; column 1 marks the newline, after which an answer begins.
    """
    import numpy as np  # noqa: PLC0415 - as above

    meanings: dict[str, Any] = {}
    rows = [meanings.setdefault(token.text.lstrip(SPACE), random.normal(0, 1, width)) for token in tokens]
    embedding = np.stack(rows).astype(np.float32)
    embedding[:, 0] = 1
    embedding[:, 1] = 0
    embedding[[token.text for token in tokens].index(NEWLINE), 1] = 4
    return embedding


def _output(tokens: list[Token], *, embedding: Any, random: Any, end_bias: float) -> Any:
    """Random next words, silence for what must never be said, and an end that is likely enough."""
    import numpy as np  # noqa: PLC0415 - as above

    texts = [token.text for token in tokens]
    width = embedding.shape[1]
    output = random.normal(0, width**-0.5, embedding.shape).astype(np.float32)
    output[:, 0] = [0 if token.is_speakable else NEVER for token in tokens]
    end = texts.index(TURN_ENDS)
    output[end] = 0
    output[end, :2] = (end_bias, NEVER)  # never right after the prompt, whose last token is a newline: no empty answers
    return output
