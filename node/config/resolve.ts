/** From what was said in five places to one value per setting, with where it came from. */
import { dirname, isAbsolute, resolve } from 'node:path'
import { nearest } from '../adapters/command-line/index.ts'
import {
  flagOf,
  KEYS,
  type Key,
  PRESETS,
  SETTINGS,
  type Setting,
  type ValueOf,
  variableOf,
} from './settings.ts'

/** Highest first. */
export type Source = 'flag' | 'environment' | 'file' | 'preset' | 'default'

export interface Origin {
  readonly source: Source
  /** The flag, the variable, the file, the preset. */
  readonly name: string
}

export interface Entry {
  readonly value: unknown
  readonly origin: Origin
}

export type ConfigFault =
  | { readonly code: 'UnknownSetting'; readonly origin: Origin; readonly suggestion?: string }
  | {
      readonly code: 'InvalidSetting'
      readonly key: Key
      readonly origin: Origin
      readonly reason: string
    }
  | { readonly code: 'MissingSetting'; readonly key: Key }
  | { readonly code: 'MissingValue'; readonly flag: string }
  | { readonly code: 'UnexpectedArgument'; readonly argument: string }
  | { readonly code: 'FileUnreadable'; readonly file: string; readonly reason: string }
  | { readonly code: 'UnknownPreset'; readonly preset: string; readonly known: readonly string[] }

/** What configuration is read from. */
export interface ConfigInputs {
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string
  /** Throws what the file system throws. */
  readFile(path: string): string
  /** Without which there is nothing to do; where absent, those of a node. */
  readonly required?: readonly Key[]
}

export interface Config {
  readonly entries: ReadonlyMap<Key, Entry>
  get<K extends Key>(key: K): ValueOf<K> | undefined
  /** Somebody named it: on the command line, in the environment or in the file. */
  isAskedFor(key: Key): boolean
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] }

/** Flags that are about the configuration itself. */
const META_FLAGS = ['--config', '--preset', '--explain', '--help'] as const
/** Variables with our prefix that are not settings. */
const OTHER_VARIABLES = ['MILLRACE_PARENT', 'MILLRACE_CONFIG', 'MILLRACE_PRESET'] as const

type Said = Map<Key, { readonly given: unknown; readonly origin: Origin; readonly base: string }>

export function resolveConfig(inputs: ConfigInputs): ConfigResult {
  const { environment, workingDirectory } = inputs
  const faults: ConfigFault[] = []
  const flags = readFlags(inputs.args, faults)
  const presetName = flags.meta.get('--preset') ?? environment['MILLRACE_PRESET']
  const fileName = flags.meta.get('--config') ?? environment['MILLRACE_CONFIG']
  const said: Said = new Map()
  const say = (key: Key, given: unknown, source: Source, name: string, base: string) => {
    said.set(key, { given, origin: { source, name }, base })
  }
  for (const key of KEYS) {
    const { fallback } = SETTINGS[key] as Setting
    if (fallback !== undefined) say(key, fallback, 'default', 'default', workingDirectory)
  }
  for (const [key, given] of readPreset(presetName, faults)) {
    say(key, given, 'preset', presetName ?? '', workingDirectory)
  }
  if (fileName !== undefined) {
    const file = resolve(workingDirectory, fileName)
    for (const [key, given] of readConfigFile(file, inputs, faults)) {
      say(key, given, 'file', file, dirname(file))
    }
  }
  for (const [key, given] of readEnvironment(environment, faults)) {
    say(key, given, 'environment', variableOf(key), workingDirectory)
  }
  for (const [key, given] of flags.settings) {
    say(key, given, 'flag', flagOf(key), workingDirectory)
  }
  const entries = checkValues(said, faults, inputs.required)
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, config: createConfig(entries) }
}

function createConfig(entries: ReadonlyMap<Key, Entry>): Config {
  return {
    entries,
    get: <K extends Key>(key: K) => entries.get(key)?.value as ValueOf<K> | undefined,
    isAskedFor: (key) => {
      const source = entries.get(key)?.origin.source
      return source === 'flag' || source === 'environment' || source === 'file'
    },
  }
}

function checkValues(
  said: Said,
  faults: ConfigFault[],
  required: readonly Key[] | undefined,
): Map<Key, Entry> {
  const entries = new Map<Key, Entry>()
  for (const key of KEYS) {
    const { schema, isRequired, isPath } = SETTINGS[key] as Setting
    const found = said.get(key)
    if (found === undefined) {
      if (required?.includes(key) ?? isRequired === true)
        faults.push({ code: 'MissingSetting', key })
      continue
    }
    const { given, origin, base } = found
    const parsed = schema.safeParse(given)
    if (!parsed.success) {
      const reason = parsed.error.issues[0]?.message ?? 'is not valid'
      faults.push({ code: 'InvalidSetting', key, origin, reason })
      continue
    }
    const value = isPath === true ? absolute(parsed.data as string, base) : parsed.data
    entries.set(key, { value, origin })
  }
  return entries
}

function absolute(path: string, base: string): string {
  return isAbsolute(path) ? path : resolve(base, path)
}

function unknown(source: Source, name: string, known: readonly string[]): ConfigFault {
  const suggestion = nearest(name, known)
  const origin = { source, name }
  return { code: 'UnknownSetting', origin, ...(suggestion === undefined ? {} : { suggestion }) }
}

interface Flags {
  readonly settings: ReadonlyMap<Key, unknown>
  readonly meta: ReadonlyMap<string, string>
}

/** `--key value`, `--key=value`, and a bare `--switch`; a list's flag may be repeated. */
function readFlags(args: readonly string[], faults: ConfigFault[]): Flags {
  const byFlag = new Map(KEYS.map((key) => [flagOf(key), key]))
  const settings = new Map<Key, unknown>()
  const meta = new Map<string, string>()
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] as string
    if (!argument.startsWith('--')) {
      faults.push({ code: 'UnexpectedArgument', argument })
      continue
    }
    const equals = argument.indexOf('=')
    const name = equals < 0 ? argument : argument.slice(0, equals)
    const key = byFlag.get(name)
    const next = args[at + 1]
    const hasNext = next !== undefined && !next.startsWith('--')
    const isMeta = (META_FLAGS as readonly string[]).includes(name)
    if (key === undefined && !isMeta) {
      faults.push(unknown('flag', name, [...byFlag.keys(), ...META_FLAGS]))
      if (equals < 0 && hasNext) at += 1
      continue
    }
    const setting = key === undefined ? undefined : (SETTINGS[key] as Setting)
    const bare =
      setting === undefined ? name === '--help' || name === '--explain' : setting.isSwitch === true
    let value: string
    if (equals >= 0) value = argument.slice(equals + 1)
    else if (hasNext && (!bare || next === 'true' || next === 'false')) {
      value = next
      at += 1
    } else if (bare) value = 'true'
    else {
      faults.push({ code: 'MissingValue', flag: name })
      continue
    }
    if (key === undefined) meta.set(name, value)
    else if (setting?.isList === true && settings.has(key)) {
      settings.set(key, `${settings.get(key)},${value}`)
    } else settings.set(key, value)
  }
  return { settings, meta }
}

function readEnvironment(
  environment: ConfigInputs['environment'],
  faults: ConfigFault[],
): Map<Key, unknown> {
  const byVariable = new Map(KEYS.map((key) => [variableOf(key), key]))
  const found = new Map<Key, unknown>()
  for (const [name, given] of Object.entries(environment)) {
    if (!name.startsWith('MILLRACE_') || given === undefined) continue
    if ((OTHER_VARIABLES as readonly string[]).includes(name)) continue
    const key = byVariable.get(name)
    if (key === undefined) faults.push(unknown('environment', name, [...byVariable.keys()]))
    else found.set(key, given)
  }
  return found
}

function readPreset(name: string | undefined, faults: ConfigFault[]): Map<Key, unknown> {
  if (name === undefined) return new Map()
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined
  if (preset !== undefined) return new Map(Object.entries(preset) as [Key, unknown][])
  faults.push({ code: 'UnknownPreset', preset: name, known: Object.keys(PRESETS) })
  return new Map()
}

/** The file's nested objects as dotted keys. */
function readConfigFile(
  file: string,
  inputs: ConfigInputs,
  faults: ConfigFault[],
): Map<Key, unknown> {
  const found = new Map<Key, unknown>()
  let content: unknown
  try {
    content = JSON.parse(inputs.readFile(file))
  } catch (error) {
    const reason = Error.isError(error) ? error.message : String(error)
    faults.push({ code: 'FileUnreadable', file, reason })
    return found
  }
  if (!isGroup(content)) {
    faults.push({ code: 'FileUnreadable', file, reason: 'expected a JSON object' })
    return found
  }
  const walk = (group: Readonly<Record<string, unknown>>, prefix: string) => {
    for (const [name, value] of Object.entries(group)) {
      const key = prefix + name
      if ((KEYS as readonly string[]).includes(key)) found.set(key as Key, value)
      else if (isGroup(value) && KEYS.some((known) => known.startsWith(`${key}.`))) {
        walk(value, `${key}.`)
      } else faults.push(unknown('file', key, KEYS))
    }
  }
  walk(content, '')
  return found
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
