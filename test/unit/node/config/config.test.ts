import {
  type Config,
  type ConfigFault,
  type ConfigInputs,
  describeFault,
  explain,
  flagOf,
  KEYS,
  nodeOptions,
  resolveConfig,
  usage,
  variableOf,
} from '../../../../node/config/index.ts'

const FILES: Readonly<Record<string, string>> = {
  '/etc/millrace/node.json': JSON.stringify({
    name: 'from-file',
    dataDir: 'data',
    genesisFile: 'genesis.json',
    networkKeyFile: '/keys/network',
    rpc: { port: 9000 },
    p2p: { peers: ['/ip4/10.0.0.1/tcp/1', '/ip4/10.0.0.2/tcp/1'] },
    governance: {
      authorityFile: 'authority.pem',
      certificateFile: 'certificate.pem',
      privateKeyFile: 'key.pem',
    },
    bitcoinUrl: 'http://user:secret@127.0.0.1:8332',
    minFeeCapWei: 0,
  }),
  '/srv/short': 'tiny\n',
  '/srv/token': 'a-token-of-sixteen-and-more\n',
}

function inputs(
  args: readonly string[],
  environment: Record<string, string> = {},
  files: Readonly<Record<string, string>> = FILES,
): ConfigInputs {
  return {
    args,
    environment,
    workingDirectory: '/srv',
    readFile: (path) => {
      const text = files[path]
      if (text === undefined) throw new Error('no such file')
      return text
    },
  }
}

const FILE = ['--config', '/etc/millrace/node.json']

function resolved(...given: Parameters<typeof inputs>): Config {
  const result = resolveConfig(inputs(...given))
  if (!result.ok) throw new Error(result.faults.map(describeFault).join('\n'))
  return result.config
}

function faultsOf(...given: Parameters<typeof inputs>): readonly ConfigFault[] {
  const result = resolveConfig(inputs(...given))
  return result.ok ? [] : result.faults
}

const program = (...given: Parameters<typeof inputs>) => {
  const options = nodeOptions(inputs(...given))
  if ('text' in options) throw new Error(options.text)
  return options.program
}

describe('precedence', () => {
  it('flag > environment > file > preset > default', () => {
    const environment = { MILLRACE_NAME: 'from-environment', MILLRACE_LOG_FORMAT: 'json' }
    const steps: [string[], Record<string, string>, string][] = [
      [[...FILE, '--name', 'from-flag'], environment, 'from-flag'],
      [FILE, environment, 'from-environment'],
      [FILE, {}, 'from-file'],
    ]
    for (const [args, variables, expected] of steps) {
      expect(resolved(args, variables).get('name')).toBe(expected)
    }
    const preset = [...FILE, '--preset', 'dev']
    expect(resolved(preset).get('bitcoinPollMs')).toBe(500)
    expect(resolved(preset).get('bitcoinUrl')).toContain(':8332')
    expect(resolved(FILE).get('bitcoinPollMs')).toBe(5_000)
    expect(resolved(preset, environment).get('log.format')).toBe('json')
  })

  it('the file and the preset may be named by variables', () => {
    const environment = { MILLRACE_CONFIG: FILE[1] as string, MILLRACE_PRESET: 'dev' }
    const config = resolved([], environment)
    expect([config.get('name'), config.get('log.format')]).toEqual(['from-file', 'text'])
  })

  it('paths are relative to the file that names them, or to the working directory', () => {
    const config = resolved([...FILE, '--validator-key-file', 'keys/validator.json'])
    expect(config.get('genesisFile')).toBe('/etc/millrace/genesis.json')
    expect(config.get('networkKeyFile')).toBe('/keys/network')
    expect(config.get('validatorKeyFile')).toBe('/srv/keys/validator.json')
  })

  it('lists: a list in the file, commas or repeated flags elsewhere', () => {
    expect(resolved(FILE).get('p2p.peers')).toHaveLength(2)
    const args = [...FILE, '--p2p-peers', 'a,b', '--p2p-peers=c']
    expect(resolved(args).get('p2p.peers')).toEqual(['a', 'b', 'c'])
    expect(resolved(FILE, { MILLRACE_P2P_PEERS: '' }).get('p2p.peers')).toEqual([])
  })
})

describe('faults', () => {
  it.each([
    [['--rpc-prot', '1'], 'unknown option --rpc-prot; did you mean --rpc-port?'],
    [['--utterly-different'], 'unknown option --utterly-different'],
    [['--name'], '--name needs a value'],
    [['start'], 'unexpected argument start'],
    [
      ['--rpc-port', '70000'],
      'rpc.port (flag --rpc-port): expected a whole number from 0 to 65535',
    ],
    [['--rpc-port', '1e3'], 'rpc.port (flag --rpc-port): expected a whole number from 0 to 65535'],
    [
      ['--log-level', 'loud'],
      'log.level (flag --log-level): expected trace or debug or info or warn or error',
    ],
    [
      ['--bitcoin-url', 'ftp://x'],
      'bitcoinUrl (flag --bitcoin-url): expected http://user:password@host:port',
    ],
    [
      ['--engine-mode', 'reth'],
      'engine.mode (flag --engine-mode): expected embedded or engine-api',
    ],
    [['--rpc-fallback=perhaps'], 'rpc.fallback (flag --rpc-fallback): expected true or false'],
    [['--preset', 'prod'], 'unknown preset prod; there is dev, bench'],
  ])('%j: %s', (args, expected) => {
    expect(faultsOf([...FILE, ...args]).map(describeFault)).toEqual([expected])
  })

  it('an unknown variable with our prefix is an error, a foreign one is not', () => {
    const environment = { MILLRACE_RCP_PORT: '1', OTHER: 'x', MILLRACE_PARENT: 'stdin' }
    expect(faultsOf(FILE, environment).map(describeFault)).toEqual([
      'unknown variable MILLRACE_RCP_PORT; did you mean MILLRACE_RPC_PORT?',
    ])
  })

  it.each([
    [{ rpc: { prot: 1 } }, 'unknown setting rpc.prot; did you mean rpc.port?'],
    [{ genesisfile: 'x' }, 'unknown setting genesisfile; did you mean genesisFile?'],
    [
      { name: { first: 'x' } },
      'name (file /srv/c.json): Invalid input: expected string, received object',
    ],
  ])('in the file %j: %s', (extra, expected) => {
    const content = { ...JSON.parse(FILES['/etc/millrace/node.json'] as string), ...extra }
    const files = { '/srv/c.json': JSON.stringify(content) }
    expect(faultsOf(['--config', 'c.json'], {}, files).map(describeFault)).toEqual([expected])
  })

  it.each(['{', '[]', '7'])('a file that holds %s is refused', (content) => {
    const faults = faultsOf(['--config', 'c.json'], {}, { '/srv/c.json': content })
    expect(faults).toContainEqual(expect.objectContaining({ code: 'FileUnreadable' }))
  })

  it('what is required and missing is named with all ways to give it, all at once', () => {
    const faults = faultsOf([])
    expect(faults.map(({ code }) => code)).toEqual(Array(6).fill('MissingSetting'))
    expect(describeFault(faults[0] as ConfigFault)).toMatch(/--genesis-file, MILLRACE_GENESIS_FILE/)
  })

  it('an engine of another make needs its address and the secret', () => {
    const other = [...FILE, '--engine-mode', 'engine-api', '--engine-url', 'http://127.0.0.1:8551']
    const text = (args: readonly string[]) => {
      const options = nodeOptions(inputs(args))
      return 'text' in options ? options.text : options.program.engine
    }
    const missing = (key: string) =>
      `millrace node: ${key} is missing: engine.mode engine-api needs it`
    expect(text(other.slice(0, 4))).toBe(missing('engine.url'))
    expect(text(other)).toBe(missing('engine.jwtSecretFile'))
    expect(text([...other, '--engine-jwt-secret-file', 'jwt'])).toEqual({
      mode: 'engine-api',
      url: 'http://127.0.0.1:8551',
      jwtSecretFile: '/srv/jwt',
    })
    expect(text(FILE)).toEqual({ mode: 'embedded' })
  })

  it('exit codes: 2 for the command line, 3 for configuration, 0 for help', () => {
    const exit = (args: readonly string[]) => {
      const options = nodeOptions(inputs(args))
      return 'text' in options ? options.exitCode : undefined
    }
    expect(exit([...FILE, '--nmae', 'x'])).toBe(2)
    expect(exit([])).toBe(3)
    expect(exit([...FILE, '--help'])).toBe(0)
    expect(exit([...FILE, '--explain'])).toBe(0)
    expect(exit([...FILE, '--rpc-admin-token-file', 'short'])).toBe(3)
    expect(exit([...FILE, '--rpc-admin-token-file', 'nothing'])).toBe(3)
  })
})

describe('the node', () => {
  it('a default port may fall to the next free one, one that was named may not', () => {
    const content = JSON.parse(FILES['/etc/millrace/node.json'] as string)
    delete content.rpc
    const files = { '/srv/c.json': JSON.stringify(content) }
    const file = ['--config', 'c.json']
    expect(program(file, {}, files).rpc).toMatchObject({ port: 8_545, fallback: true })
    for (const [args, environment] of [
      [[...file, '--rpc-port', '8545'], {}],
      [file, { MILLRACE_RPC_PORT: '8545' }],
    ] as const) {
      expect(program(args, environment, files).rpc).toMatchObject({ port: 8_545, fallback: false })
    }
    expect(program(FILE).rpc).toMatchObject({ port: 9_000, fallback: false })
    expect(program([...FILE, '--rpc-fallback']).rpc.fallback).toBe(true)
  })

  it('listens on loopback unless told', () => {
    const { rpc, governance, p2p } = program(FILE)
    expect([rpc.host, governance.host, ...p2p.listen]).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      '/ip4/127.0.0.1/tcp/30500',
    ])
  })

  it('makes no traces unless there is a collector, and takes a share of 0 to 1', () => {
    expect(program(FILE).telemetry).toEqual({ sampleRatio: 0.01 })
    const args = [...FILE, '--telemetry-otlp-endpoint', 'http://127.0.0.1:4318']
    expect(program(args, { MILLRACE_TELEMETRY_SAMPLE_RATIO: '0.5' }).telemetry).toEqual({
      otlpEndpoint: 'http://127.0.0.1:4318',
      sampleRatio: 0.5,
    })
    for (const share of ['2', '-1', 'all', '0.5.5']) {
      const [fault] = faultsOf([...FILE, `--telemetry-sample-ratio=${share}`])
      expect(fault).toMatchObject({ code: 'InvalidSetting', key: 'telemetry.sampleRatio' })
    }
    expect(faultsOf([...FILE, '--telemetry-otlp-endpoint', 'here'])).toHaveLength(1)
  })

  it('has the admin token of its file, and none without', () => {
    expect(program(FILE).adminToken).toBeUndefined()
    const args = [...FILE, '--rpc-admin-token-file', 'token']
    expect(program(args).adminToken).toBe('a-token-of-sixteen-and-more')
  })

  it('explain prints every setting with its origin and no password', () => {
    const text = explain(resolved([...FILE, '--log-level', 'debug']))
    for (const key of KEYS) expect(text).toContain(key)
    expect(text).toMatch(/log\.level +debug +flag --log-level/)
    expect(text).toMatch(/rpc\.port +9000 +file \/etc\/millrace\/node\.json/)
    expect(text).toMatch(/rpc\.host +127\.0\.0\.1 +default/)
    expect(text).not.toContain('secret')
  })

  it('the help names every flag', () => {
    for (const key of KEYS) expect(usage()).toContain(flagOf(key))
  })

  it('flags and variables are unique and of one form', () => {
    expect(flagOf('rpc.corsOrigins')).toBe('--rpc-cors-origins')
    expect(variableOf('rpc.corsOrigins')).toBe('MILLRACE_RPC_CORS_ORIGINS')
    expect(new Set(KEYS.map(flagOf)).size).toBe(KEYS.length)
  })
})
