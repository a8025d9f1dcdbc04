import { USAGE as DEV_USAGE } from '../../devnet/launcher/options.ts'
import { USAGE as GOVERNANCE_USAGE } from '../../governance/config.ts'
import { USAGE as SIGNER_USAGE } from '../../governance/remote/index.ts'
import {
  flagOf,
  KEYS,
  PRESETS,
  SETTINGS,
  type Setting,
  variableOf,
} from '../../node/config/settings.ts'
import { code, fenced, page, table } from './markdown.ts'

function defaultText({ fallback, isRequired }: Setting): string {
  if (isRequired === true) return '(required)'
  if (fallback === undefined) return ''
  if (Array.isArray(fallback)) return fallback.length === 0 ? '(none)' : code(fallback.join(','))
  return code(String(fallback))
}

function settingRows(): string[][] {
  return KEYS.map((key) => {
    const setting: Setting = SETTINGS[key]
    return [
      code(key),
      code(`${flagOf(key)}`),
      code(variableOf(key)),
      setting.value,
      defaultText(setting),
      setting.about,
    ]
  })
}

export function configurationPage(): string {
  const presets = Object.entries(PRESETS).map(([name, values]) => {
    const rows = Object.entries(values).map(([key, value]) => [code(key), code(String(value))])
    return `### Preset ${code(name)}\n\n${table(['key', 'value'], rows)}`
  })
  return page(
    'Configuration',
    'How a node is started, and where its files are: [run a node](../guides/run-a-node.md).',
    '## `millrace node`',
    `A setting comes from its flag, else from the environment, else from the file of \`--config\` (or \`MILLRACE_CONFIG\`), else from the preset of
\`--preset\` (or \`MILLRACE_PRESET\`), else it is the default. The file is JSON with nested objects: \`{"rpc": {"port": 8545}}\`. Relative paths in it
are relative to it. Unknown keys, flags and variables with our prefix are errors. \`--explain\` prints each value with its origin.`,
    table(['key', 'flag', 'variable', 'value', 'default', 'meaning'], settingRows()),
    ...presets,
    '## `millrace governance`',
    'The file has the form that `governance/README.md` shows; flags:',
    fenced(GOVERNANCE_USAGE),
    '## `millrace signer`',
    'The file has the form that [the guide](../guides/remote-signer.md) shows; flags:',
    fenced(SIGNER_USAGE),
    '## `millrace dev` (`npm start`)',
    fenced(DEV_USAGE),
  )
}
