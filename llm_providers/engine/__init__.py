"""The built-in llama.cpp engine: a supervised local server, one more OpenAI-compatible provider."""
