"""One request and one answer in each dialect that use every feature it has, written out by hand.

Shapes as in `lynkr.testing.bodies`; an unknown field stands for whatever comes next year.
"""

from collections.abc import Mapping
from typing import Any

from lynkr.model import WireFormat

PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
_CACHE = {"type": "ephemeral", "ttl": "1h"}

_ANTHROPIC: dict[str, Any] = {
    "model": "claude-opus-4-5",
    "max_tokens": 4096,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": _CACHE}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look."},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"},
                {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
                {"type": "text", "text": "I call."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "b"}},
                {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [
                        {"type": "text", "text": "Done."},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                        {"type": "tool_reference", "tool_name": "f"},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "Failed.", "is_error": True},
                {"type": "text", "text": "And?", "cache_control": _CACHE},
            ],
        },
        {"role": "system", "content": [{"type": "text", "text": "A reminder."}]},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [
        {"name": "f", "description": "F.", "input_schema": SCHEMA, "cache_control": _CACHE},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
    "temperature": 1.0,
    "top_p": 0.9,
    "top_k": 40,
    "stop_sequences": ["END"],
    "stream": True,
    "metadata": {"user_id": "u_1"},
    "service_tier": "auto",
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "next_year": 1,
}

_CHAT: dict[str, Any] = {
    "model": "gpt-5",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "name": "alice",
            "content": [
                {"type": "text", "text": "Look."},
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"},
                },
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I call.",
            "refusal": "No.",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}},
                {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": '{"a":'}},
                {"id": "call_3", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Done."},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "Failed."}]},
        {"role": "tool", "tool_call_id": "call_3", "content": "Patched."},
        {"role": "system", "content": "A reminder."},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "F.", "parameters": SCHEMA, "strict": True},
        },
        {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 4096,
    "temperature": 1.0,
    "top_p": 0.9,
    "seed": 7,
    "stop": ["END"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "high",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": SCHEMA, "strict": True},
    },
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "metadata": {"k": "v"},
    "prompt_cache_key": "k",
    "service_tier": "flex",
    "store": True,
    "user": "u_1",
    "verbosity": "low",
    "next_year": 1,
}

_RESPONSES: dict[str, Any] = {
    "model": "gpt-5",
    "instructions": "Be brief.",
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look."},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "high"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
                {"type": "input_image", "file_id": "file-2", "detail": "auto"},
                {"type": "input_file", "file_data": "AAAA", "filename": "a.pdf"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "c2VhbGVk",
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "I call.",
                    "annotations": [{"type": "file_path", "file_id": "file-1", "index": 0}],
                },
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "f",
            "arguments": '{"a":"b"}',
        },
        {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "*** Begin"},
        {"type": "function_call", "call_id": "call_3", "name": "f", "namespace": "crm", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Done."},
        {
            "type": "custom_tool_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_text", "text": "Patched."}],
        },
        {"type": "function_call_output", "call_id": "call_3", "output": "Done."},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
        {"type": "message", "role": "developer", "content": "A reminder."},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [
        {"type": "function", "name": "f", "description": "F.", "parameters": SCHEMA, "strict": True},
        {
            "type": "custom",
            "name": "patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"+'},
        },
        {
            "type": "namespace",
            "name": "crm",
            "description": "d",
            "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}],
        },
        {"type": "web_search", "search_context_size": "low"},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": False,
    "max_output_tokens": 4096,
    "temperature": 1.0,
    "top_p": 0.9,
    "reasoning": {"effort": "high", "summary": "auto"},
    "text": {
        "format": {"type": "json_schema", "name": "n", "description": "d", "schema": SCHEMA, "strict": True},
        "verbosity": "low",
    },
    "include": ["reasoning.encrypted_content"],
    "metadata": {"k": "v"},
    "previous_response_id": "resp_1",
    "prompt_cache_key": "k",
    "service_tier": "flex",
    "store": False,
    "stream": True,
    "truncation": "auto",
    "user": "u_1",
    "next_year": 1,
}

_OLLAMA: dict[str, Any] = {
    "model": "qwen3:8b",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look.", "images": ["iVBORw0KGgoAAAA="]},
        {
            "role": "assistant",
            "content": "I call.",
            "thinking": "hm",
            "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": {"a": "b"}}}],
        },
        {"role": "tool", "tool_name": "f", "tool_call_id": "call_1", "content": "Done."},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "F.", "parameters": SCHEMA}}],
    "think": "high",
    "format": SCHEMA,
    "keep_alive": "5m",
    "logprobs": True,
    "stream": True,
    "options": {
        "num_predict": 4096,
        "temperature": 1.0,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "stop": ["END"],
        "num_ctx": 32_768,
        "repeat_penalty": 1.1,
    },
    "next_year": 1,
}

_GEMINI: dict[str, Any] = {
    "model": "gemini-2.5-flash",
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Look."},
                {"inlineData": {"mimeType": "image/png", "data": PNG}},
                {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
                {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/a"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"thought": True, "text": "hm"},
                {"text": "I call.", "thoughtSignature": "c2lnbmVk"},
                {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
                {
                    "functionCall": {"id": "call-1", "name": "f", "args": {"a": "b"}},
                    "thoughtSignature": "c2lnbmVk",
                },
                {"functionCall": {"id": "call-2", "name": "f", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "call-1", "name": "f", "response": {"output": "Done."}}},
                {"functionResponse": {"id": "call-2", "name": "f", "response": {"error": "Failed."}}},
                {"text": "And?"},
            ],
        },
    ],
    "tools": [
        {
            "functionDeclarations": [
                {"name": "f", "description": "F.", "parametersJsonSchema": SCHEMA, "behavior": "BLOCKING"}
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}},
    "generationConfig": {
        "maxOutputTokens": 4096,
        "temperature": 1.0,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "stopSequences": ["END"],
        "presencePenalty": 0.5,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "cachedContent": "cachedContents/c",
    "stream": True,
    "nextYear": 1,
}

_DOCUMENT = {"document": {"format": "txt", "name": "d", "source": {"text": "d"}}}
_BEDROCK: dict[str, Any] = {
    "modelId": "anthropic.claude-opus-4-5-20251101-v1:0",
    "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "Look."},
                {"image": {"format": "png", "source": {"bytes": PNG}}},
                {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}},
                _DOCUMENT,
                {"guardContent": {"text": {"text": "g"}}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2lnbmVk"}}},
                {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}},
                {"text": "I call."},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": {"a": "b"}}},
                {"toolUse": {"toolUseId": "tooluse_2", "name": "f", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "tooluse_1", "content": [{"json": {"a": 1}}, _DOCUMENT]}},
                {
                    "toolResult": {
                        "toolUseId": "tooluse_2",
                        "content": [{"text": "Failed."}],
                        "status": "error",
                    }
                },
                {"text": "And?"},
                {"cachePoint": {"type": "default"}},
            ],
        },
    ],
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "f",
                    "description": "F.",
                    "inputSchema": {"json": SCHEMA},
                    "strict": True,
                }
            },
            {"cachePoint": {"type": "default"}},
        ],
        "toolChoice": {"any": {}},
    },
    "inferenceConfig": {"maxTokens": 4096, "temperature": 1.0, "topP": 0.9, "stopSequences": ["END"]},
    "additionalModelRequestFields": {
        "top_k": 40,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "anthropic_beta": ["context-1m-2025-08-07"],
    },
    "outputConfig": {"effort": "high"},
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    "requestMetadata": {"team": "t"},
    "performanceConfig": {"latency": "optimized"},
    "serviceTier": {"type": "flex"},
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
    "stream": True,
    "nextYear": 1,
}

REQUESTS: Mapping[WireFormat, dict[str, Any]] = {
    WireFormat.ANTHROPIC_MESSAGES: _ANTHROPIC,
    WireFormat.OPENAI_CHAT: _CHAT,
    WireFormat.OPENAI_RESPONSES: _RESPONSES,
    WireFormat.OLLAMA_CHAT: _OLLAMA,
    WireFormat.GEMINI: _GEMINI,
    WireFormat.BEDROCK_CONVERSE: _BEDROCK,
}

ANSWERS: Mapping[WireFormat, dict[str, Any]] = {
    WireFormat.ANTHROPIC_MESSAGES: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-5",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
            {
                "type": "text",
                "text": "Well.",
                "citations": [{"type": "char_location", "cited_text": "d", "document_index": 0}],
            },
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "b"}},
        ],
        "stop_reason": "stop_sequence",
        "stop_sequence": "END",
        "usage": {
            "input_tokens": 5,
            "output_tokens": 7,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 6,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 4},
            "service_tier": "standard",
        },
        "next_year": 1,
    },
    WireFormat.OPENAI_CHAT: {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": "gpt-5",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Well.",
                    "refusal": "No.",
                    "reasoning_content": "hm",
                    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com"}}],
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "f", "arguments": '{"a":"b"}'},
                        },
                        {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": '{"a'}},
                    ],
                },
                "finish_reason": "content_filter",
                "logprobs": {"content": []},
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 7,
            "total_tokens": 16,
            "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2, "accepted_prediction_tokens": 1},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "next_year": 1,
    },
    WireFormat.OPENAI_RESPONSES: {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_767_225_600,
        "status": "incomplete",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"},
        "model": "gpt-5",
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "hm"}],
                "encrypted_content": "c2VhbGVk",
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "commentary",
                "content": [
                    {
                        "type": "output_text",
                        "text": "Well.",
                        "annotations": [{"type": "file_path", "file_id": "file-1", "index": 0}],
                    },
                    {"type": "refusal", "refusal": "No."},
                ],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "*** Begin"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 16,
        },
        "service_tier": "default",
        "metadata": {"k": "v"},
        "next_year": 1,
    },
    WireFormat.OLLAMA_CHAT: {
        "model": "qwen3:8b",
        "created_at": "2026-11-01T08:00:00Z",
        "message": {
            "role": "assistant",
            "content": "Well.",
            "thinking": "hm",
            "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": {"a": "b"}}}],
        },
        "done": True,
        "done_reason": "length",
        "total_duration": 9,
        "load_duration": 1,
        "prompt_eval_count": 9,
        "eval_count": 7,
        "next_year": 1,
    },
    WireFormat.GEMINI: {
        "responseId": "r1",
        "modelVersion": "gemini-2.5-flash",
        "createTime": "2026-11-01T08:00:00.123Z",
        "candidates": [
            {
                "index": 0,
                "content": {
                    "role": "model",
                    "parts": [
                        {"thought": True, "text": "hm"},
                        {"text": "Well.", "thoughtSignature": "c2lnbmVk"},
                        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
                        {"functionCall": {"id": "call-1", "name": "f", "args": {"a": "b"}}},
                    ],
                },
                "finishReason": "RECITATION",
                "avgLogprobs": -0.25,
                "safetyRatings": [
                    {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"},
                ],
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 3,
            "toolUsePromptTokenCount": 1,
            "totalTokenCount": 17,
        },
        "nextYear": 1,
    },
    WireFormat.BEDROCK_CONVERSE: {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2lnbmVk"}}},
                    {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}},
                    {"citationsContent": {"content": [{"text": "Well."}], "citations": [{"title": "t"}]}},
                    {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": {"a": "b"}}},
                ],
            }
        },
        "stopReason": "guardrail_intervened",
        "usage": {
            "inputTokens": 5,
            "outputTokens": 7,
            "totalTokens": 21,
            "cacheReadInputTokens": 3,
            "cacheWriteInputTokens": 6,
        },
        "metrics": {"latencyMs": 9},
        "trace": {"promptRouter": {"invokedModelId": "x"}},
        "nextYear": 1,
    },
}
