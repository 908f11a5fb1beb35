import OpenAI from 'openai'
import { key, main, model, prompt, tools, url } from './common.mjs'

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 })
const asked = { model, messages: [{ role: 'user', content: prompt }] }

await main({
  whole: async () => (await client.chat.completions.create(asked)).choices[0].message.content,
  stream: async () => client.chat.completions.stream(asked).finalContent(),
  agent: async () => client.chat.completions.runTools({
    ...asked,
    stream: true,
    tools: Object.entries(tools).map(([name, { description, schema, run }]) => ({
      type: 'function',
      function: { name, description, parameters: schema, function: run, parse: JSON.parse },
    })),
  }).finalContent(),
})
