// What every Node driver does: one scenario by name, one JSON line about how it went.
import { readFile, writeFile } from 'node:fs/promises'

export const url = process.env.LYNKR_URL
export const key = process.env.LYNKR_KEY
export const model = 'auto'
export const prompt = process.argv[3]

const string = { type: 'string' }
const object = (properties) => ({
  type: 'object', properties, required: Object.keys(properties), additionalProperties: false,
})

export const tools = {
  write_file: {
    description: 'Write text to a file.',
    schema: object({ path: string, content: string }),
    run: async ({ path, content }) => { await writeFile(path, content); return `wrote ${path}` },
  },
  read_file: {
    description: 'Read a file.',
    schema: object({ path: string }),
    run: ({ path }) => readFile(path, 'utf8'),
  },
}

export async function main(scenarios) {
  const report = { text: null, error: null }
  try {
    report.text = await scenarios[process.argv[2]]()
  } catch (error) {
    report.error = {
      kind: error.constructor.name, status: error.status ?? error.statusCode ?? null, message: error.message,
    }
  }
  console.log(JSON.stringify(report))
}
