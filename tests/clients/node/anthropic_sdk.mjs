import Anthropic from '@anthropic-ai/sdk'
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { key, main, model, prompt, tools, url } from './common.mjs'

const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 })
const asked = { model, max_tokens: 1024, messages: [{ role: 'user', content: prompt }] }
const words = (message) => message.content.filter(({ type }) => type === 'text').map(({ text }) => text).join('')

await main({
  whole: async () => words(await client.messages.create(asked)),
  stream: async () => words(await client.messages.stream(asked).finalMessage()),
  // The runner keeps its history in a thread of the server's, unless the server says that it has none.
  agent: async () => words(await client.beta.messages.toolRunner({
    ...asked,
    tools: Object.entries(tools).map(([name, { description, schema, run }]) =>
      betaTool({ name, description, inputSchema: schema, run })),
  })),
})
