/** What people read: faults in one line each, the help, and where every value came from. */
import type { Config, ConfigFault, Origin } from './resolve.ts'
import { flagOf, KEYS, PRESETS, SETTINGS, type Setting, variableOf } from './settings.ts'

export function describeOrigin({ source, name }: Origin): string {
  switch (source) {
    case 'flag':
      return `flag ${name}`
    case 'environment':
      return `variable ${name}`
    case 'file':
      return `file ${name}`
    case 'preset':
      return `preset ${name}`
    case 'default':
      return 'default'
  }
}

export function describeFault(fault: ConfigFault): string {
  switch (fault.code) {
    case 'UnknownSetting': {
      const { source, name } = fault.origin
      const what = { flag: 'option', environment: 'variable', file: 'setting' }[source as 'flag']
      const hint = fault.suggestion === undefined ? '' : `; did you mean ${fault.suggestion}?`
      return `unknown ${what} ${name}${hint}`
    }
    case 'InvalidSetting':
      return `${fault.key} (${describeOrigin(fault.origin)}): ${fault.reason}`
    case 'MissingSetting': {
      const { key } = fault
      return `${key} is not set: ${SETTINGS[key].about}; give ${flagOf(key)}, ${variableOf(key)} or "${key}" in the file of --config`
    }
    case 'MissingValue':
      return `${fault.flag} needs a value`
    case 'UnexpectedArgument':
      return `unexpected argument ${fault.argument}`
    case 'FileUnreadable':
      return `cannot read ${fault.file}: ${fault.reason}`
    case 'UnknownPreset':
      return `unknown preset ${fault.preset}; there is ${fault.known.join(', ')}`
  }
}

/** Each setting with its value and where that came from; passwords are not shown. */
export function explain(config: Config): string {
  const rows = KEYS.map((key) => {
    const entry = config.entries.get(key)
    return entry === undefined
      ? ([key, '(not set)', SETTINGS[key].about] as const)
      : ([key, showValue(entry.value), describeOrigin(entry.origin)] as const)
  })
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows
    .map(([key, value, origin]) => {
      return `${key.padEnd(widths[0] ?? 0)}  ${value.padEnd(Math.min(60, widths[1] ?? 0))}  ${origin}`
    })
    .join('\n')
}

function showValue(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '(none)' : value.join(',')
  const text = String(value)
  if (typeof value !== 'string' || !/^https?:/.test(text) || !URL.canParse(text)) return text
  const url = new URL(text)
  if (url.password !== '') url.password = '***'
  return url.href
}

export function usage(): string {
  const rows = KEYS.map((key) => {
    const { value, about, fallback, isSwitch, isRequired } = SETTINGS[key] as Setting
    const note =
      isRequired === true
        ? ' (required)'
        : fallback === undefined || (Array.isArray(fallback) && fallback.length === 0)
          ? ''
          : ` [${showValue(fallback)}]`
    return [isSwitch === true ? flagOf(key) : `${flagOf(key)} ${value}`, about + note] as const
  })
  const width = Math.min(44, Math.max(...rows.map(([left]) => left.length)))
  const lines = rows.map(([left, right]) => {
    return left.length > width
      ? `  ${left}\n  ${' '.repeat(width)}  ${right}`
      : `  ${left.padEnd(width)}  ${right}`
  })
  return [
    'usage: millrace node [options]',
    '',
    'A setting comes from its flag, else from MILLRACE_… in the environment, else from the file of',
    '--config, else from the preset, else it is the default. Paths in the file are relative to it.',
    '',
    `  ${'--config FILE'.padEnd(width)}  JSON, keys as below without dashes: {"rpc": {"port": 8545}}`,
    `  ${`--preset ${Object.keys(PRESETS).join('|')}`.padEnd(width)}  values for development`,
    `  ${'--explain'.padEnd(width)}  print each value with its origin, and exit`,
    `  ${'--help'.padEnd(width)}  print this text, and exit`,
    '',
    ...lines,
  ].join('\n')
}
