import OpenAI from 'openai'
import { key, main, model, prompt, tools, url } from './common.mjs'

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 })

async function agent() {
  const declared = Object.entries(tools).map(([name, { description, schema }]) => (
    { type: 'function', name, description, parameters: schema, strict: true }))
  const input = [{ role: 'user', content: prompt }]
  for (;;) {
    const response = await client.responses.stream({ model, input, tools: declared, store: false }).finalResponse()
    const calls = response.output.filter(({ type }) => type === 'function_call')
    if (calls.length === 0) return response.output_text
    input.push(...response.output)
    for (const { call_id, name, arguments: text } of calls)
      input.push({ type: 'function_call_output', call_id, output: await tools[name].run(JSON.parse(text)) })
  }
}

await main({
  whole: async () => (await client.responses.create({ model, input: prompt })).output_text,
  stream: async () => (await client.responses.stream({ model, input: prompt }).finalResponse()).output_text,
  agent,
})
