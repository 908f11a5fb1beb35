import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, isStepCount, jsonSchema, streamText, tool } from 'ai'
import { key, main, model as name, prompt, tools as ours, url } from './common.mjs'

const baseURL = `${url}/v1`
const providers = {
  messages: () => createAnthropic({ baseURL, apiKey: key })(name),
  chat: () => createOpenAICompatible({ name: 'lynkr', baseURL, apiKey: key, includeUsage: true })(name),
  responses: () => createOpenAI({ baseURL, apiKey: key }).responses(name),
}
const model = providers[process.argv[4]]()
const asked = { model, prompt, maxRetries: 0 }
const tools = Object.fromEntries(Object.entries(ours).map(([tool_name, { description, schema, run }]) =>
  [tool_name, tool({ description, inputSchema: jsonSchema(schema), execute: run })]))

await main({
  whole: async () => (await generateText(asked)).text,
  stream: async () => {
    let failure
    const result = streamText({ ...asked, onError: ({ error }) => { failure = error } })
    let text = ''
    for await (const piece of result.textStream) text += piece
    if (failure) throw failure
    return text
  },
  agent: async () => (await generateText({ ...asked, tools, stopWhen: isStepCount(8) })).text,
})
