/** Enough of JSON Schema to hold a result against execution-apis: the keywords that those files use. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

type Schema = Readonly<Record<string, unknown>>

interface MethodSpec {
  readonly name: string
  readonly params: readonly { readonly required?: boolean; readonly schema: Schema }[]
  readonly result: { readonly schema: Schema }
}

const { load } = createRequire(import.meta.url)('js-yaml') as { load(text: string): unknown }
const ROOT = new URL('../../../../../shared/vectors/execution-apis/src/', import.meta.url)
const NAMESPACES = ['eth', 'txpool', 'debug']

export const VECTORS_PRESENT = existsSync(ROOT)

function readFolder(folder: string): unknown[] {
  const files = readdirSync(new URL(`${folder}/`, ROOT)).filter((file) => file.endsWith('.yaml'))
  return files.map((file) => load(readFileSync(new URL(`${folder}/${file}`, ROOT), 'utf8')))
}

export class ExecutionApis {
  private readonly schemas: Readonly<Record<string, Schema>>
  readonly methods: ReadonlyMap<string, MethodSpec>

  constructor() {
    this.schemas = Object.assign({}, ...readFolder('schemas'))
    const specs = NAMESPACES.flatMap((folder) => readFolder(folder).flat() as MethodSpec[])
    this.methods = new Map(specs.map((spec) => [spec.name, spec]))
  }

  /** Where the result of a method breaks its schema; empty when it does not. */
  checkResult(method: string, value: unknown): string[] {
    const spec = this.methods.get(method)
    if (spec === undefined) throw new Error(`${method} is not in execution-apis`)
    return this.check(spec.result.schema, value, method)
  }

  check(schema: Schema, value: unknown, at: string): string[] {
    const target = this.resolve(schema)
    const faults: string[] = []
    const fault = (text: string) => void faults.push(`${at}: ${text}`)
    const { type, pattern, required, properties, items } = target
    if (type !== undefined && !isOfType(type as string, value)) {
      fault(`expected ${type}, got ${JSON.stringify(value)?.slice(0, 80)}`)
      return faults
    }
    if ('const' in target && target['const'] !== value) fault(`expected ${target['const']}`)
    if (Array.isArray(target['enum']) && !target['enum'].includes(value)) fault('not in enum')
    if (typeof pattern === 'string' && !new RegExp(pattern).test(String(value))) {
      fault(`${String(value).slice(0, 80)} does not match ${pattern}`)
    }
    if (typeof value === 'number') {
      if (value < Number(target['minimum'] ?? -Infinity)) fault('below minimum')
      if (value > Number(target['maximum'] ?? Infinity)) fault('above maximum')
    }
    for (const key of (required as string[] | undefined) ?? []) {
      if (!Object.hasOwn(value as object, key)) fault(`${key} is missing`)
    }
    const others = target['additionalProperties']
    if ((properties !== undefined || others !== undefined) && isOfType('object', value)) {
      for (const [key, item] of Object.entries(value as object)) {
        const open = isOfType('object', others) ? (others as Schema) : undefined
        const known = (properties as Record<string, Schema> | undefined)?.[key] ?? open
        if (known !== undefined) faults.push(...this.check(known, item, `${at}.${key}`))
        else if (others === false) fault(`${key} is not a field`)
      }
    }
    if (items !== undefined && Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        faults.push(...this.check(items as Schema, item, `${at}[${index}]`))
      }
    }
    for (const part of (target['allOf'] as Schema[] | undefined) ?? []) {
      faults.push(...this.check(part, value, at))
    }
    for (const keyword of ['anyOf', 'oneOf']) {
      const choices = target[keyword] as Schema[] | undefined
      if (choices === undefined) continue
      const attempts = choices.map((choice) => this.check(choice, value, at))
      if (attempts.every((attempt) => attempt.length > 0)) {
        faults.push(...attempts.toSorted((left, right) => left.length - right.length)[0]!)
      }
    }
    return faults
  }

  private resolve(schema: Schema): Schema {
    const reference = schema['$ref']
    if (typeof reference !== 'string') return schema
    const name = reference.split('/').at(-1) as string
    const found = this.schemas[name]
    if (found === undefined) throw new Error(`no schema ${name}`)
    return this.resolve(found)
  }
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}
