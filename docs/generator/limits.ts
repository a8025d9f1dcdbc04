import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { code, numberText, page, table } from './markdown.ts'
import { documented, objectComments, ROOT, readSource } from './source.ts'

/** Every room that has bounds, from the bottom of the house up. */
export const LIMIT_FILES = [
  'supervisor/limits.ts',
  'core/pbft/limits.ts',
  'core/mempool/limits.ts',
  'vm/evm/limits.ts',
  'actors/storage/limits.ts',
  'actors/engine/limits.ts',
  'actors/chain/limits.ts',
  'actors/bridge/limits.ts',
  'actors/sync/limits.ts',
  'actors/network/limits.ts',
  'actors/stream/limits.ts',
  'node/adapters/libp2p/limits.ts',
  'node/api/limits.ts',
] as const

const EXPORT = /^export const (?<name>[A-Z][A-Z0-9_]*)(?:: \w[^=]*)? = /

type Row = readonly [name: string, value: string, comment: string]

async function rowsOf(path: string): Promise<Row[]> {
  const source = readSource(path)
  const values = (await import(pathToFileURL(join(ROOT, path)).href)) as Record<string, unknown>
  return documented(source, EXPORT).flatMap(({ name, comment }) => {
    const value = values[name]
    if (typeof value !== 'object' || value === null) return [[name, valueText(value), comment]]
    const type = new RegExp(`const ${name}: (\\w+Limits) =`).exec(source)?.[1]
    const fields = type === undefined ? new Map<string, string>() : objectComments(path, type)
    return leaves(value).map(([field, leaf]): Row => {
      const own = fields.get(field.split('.')[0] ?? '') ?? ''
      return [`${name}.${field}`, valueText(leaf), own === '' ? comment : own]
    })
  })
}

function valueText(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return numberText(value)
  throw new Error(`not a number: ${String(value)}`)
}

/** The numbers of nested objects by dotted name. */
function leaves(value: object): [string, unknown][] {
  return Object.entries(value).flatMap(([name, inner]): [string, unknown][] =>
    typeof inner === 'object' && inner !== null
      ? leaves(inner).map(([rest, leaf]) => [`${name}.${rest}`, leaf])
      : [[name, inner]],
  )
}

export async function limitsPage(): Promise<string> {
  const parts: string[] = []
  for (const path of LIMIT_FILES) {
    const rows = await rowsOf(path)
    parts.push(
      `## ${path.replace('/limits.ts', '')}`,
      table(
        ['bound', 'value', 'meaning'],
        rows.map(([name, value, comment]) => [code(name), value, comment]),
      ),
    )
  }
  return page(
    'Limits',
    `Every bound that a room declares in its \`limits.ts\`. Names end with their unit: \`_MS\` milliseconds, \`_BYTES\` bytes. Bounds that nodes
must agree on are in [protocol-constants.md](protocol-constants.md) and in the genesis file.`,
    ...parts,
  )
}
