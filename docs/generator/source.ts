/** The sources as the reference reads them: doc comments by name, constants as they are written. A small scanner, no parser. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export function readSource(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** A doc comment as one line of text. */
function commentText(comment: string): string {
  return comment
    .replace(/^\s*\/\*\*?/, '')
    .replace(/\*\/\s*$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trim())
    .join(' ')
    .trim()
}

export interface Documented {
  readonly name: string
  readonly comment: string
}

/** What `pattern` finds in a line (its group `name`), each with the doc comment right above it. */
export function documented(source: string, pattern: RegExp): Documented[] {
  const found: Documented[] = []
  let comment = ''
  let open: string[] | undefined
  for (const line of source.split('\n')) {
    if (open !== undefined || /^\s*\/\*\*/.test(line)) {
      open = [...(open ?? []), line]
      if (!line.includes('*/')) continue
      comment = commentText(open.join('\n'))
      open = undefined
      continue
    }
    const name = pattern.exec(line)?.groups?.['name']
    if (name !== undefined) found.push({ name, comment })
    comment = ''
  }
  return found
}

/** The expression of a constant as it is written, whether it is exported or not. */
export function constantText(path: string, name: string): string {
  const match = new RegExp(`^(?:export )?const ${name}(?:: [^=]+)? = (.*)$`, 'm').exec(
    readSource(path),
  )
  if (match?.[1] === undefined) throw new Error(`${path} has no constant ${name}`)
  return match[1]
}

/** The string literals of a union type, each with the doc comment above it. */
export function unionMembers(path: string, type: string): Documented[] {
  const source = readSource(path)
  const start = source.indexOf(`export type ${type} =`)
  if (start < 0) throw new Error(`${path} has no type ${type}`)
  const rest = source.slice(start)
  const end = rest.search(/\n\n|\n}/)
  return documented(end < 0 ? rest : rest.slice(0, end), /^\s*\|?\s*'(?<name>\w+)'/)
}

/** The entries of an object literal, each with the doc comment above it. */
export function objectComments(path: string, object: string): ReadonlyMap<string, string> {
  const source = readSource(path)
  const start = source.search(new RegExp(`(?:const|interface) ${object}\\b`))
  if (start < 0) throw new Error(`${path} has no ${object}`)
  const body = source.slice(start)
  const end = body.search(/\n}/)
  const entries = documented(body.slice(0, end), /^ {2}(?:readonly )?(?<name>\w+)\??:/)
  return new Map(entries.map(({ name, comment }) => [name, comment]))
}
