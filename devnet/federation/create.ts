import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  DEFAULT_GAS_LIMIT,
  type GenesisFile,
  type ParamsFile,
  PROTOCOL_VERSION,
} from '../../core/params/index.ts'
import {
  blsKeyPair,
  blsSigner,
  provePossession,
  schnorrPublicKey,
  sealKeyFile,
  toHex,
} from '../../crypto/index.ts'
import {
  createAuthority,
  type IdentityFiles,
  issueCertificate,
} from '../../node/adapters/certificates/index.ts'
import { networkPeerId } from '../../node/adapters/libp2p/index.ts'
import { evmGenesisOf, genesisBlock } from '../../vm/evm/index.ts'

export interface FederationPorts {
  readonly rpc: readonly number[]
  readonly p2p: readonly number[]
  readonly governance: readonly number[]
  /** Health and metrics of the members. */
  readonly members: readonly number[]
}

export interface FederationOptions {
  readonly directory: string
  readonly nodes: number
  readonly members: number
  readonly bitcoin: GenesisFile['bitcoin']
  readonly bitcoinUrl: string
  readonly ports: FederationPorts
  /** As the presets of nodes: `bench` for large blocks and a large pool. */
  readonly preset?: 'dev' | 'bench'
  /** Of leaf B, in Bitcoin blocks [4320]. */
  readonly recoveryDelayBlocks?: number
  readonly nowMs: number
  random(length: number): Uint8Array
}

/** What `federation.json` remembers beside the files of each process. */
export interface Federation {
  readonly directory: string
  readonly nodes: number
  readonly members: number
  readonly genesisFile: string
  nodeDirectory(index: number): string
  memberDirectory(index: number): string
  /** Of one cold key. */
  recoveryDirectory(index: number): string
}

/** scrypt at a cost that lets ten processes start at once; a real key file takes the default. */
const DEVELOPMENT_COST = { n: 4096, r: 8, p: 1 }
const RECOVERY_KEYS = 3
const RECOVERY_THRESHOLD = 2
const RECOVERY_DELAY_BLOCKS = 4320
const CERTIFICATE_DAYS = 365
const CHAIN_ID = 262_144
const AUX_CHAIN_ID = 0x4d49

const DEVELOPMENT_PARAMS: ParamsFile = {
  slotMs: 1000,
  anchorGate: 'off',
  pegInConfirmations: 3,
  payoutConfirmations: 2,
  conflictDepth: 3,
  minPegInSat: 10_000,
  maxPegInSat: 10_000_000_000,
  totalCapSat: 1_000_000_000_000,
  dailyCapSat: 500_000_000_000,
  reorgCapSat: 500_000_000_000,
  pegInFeeSat: 1_000,
  refundFeeSat: 1_000,
  minPegOutSat: 100_000,
  batchWindowSeconds: 3,
  refundAfterBlocks: 600,
  advanceCapSat: 1_000_000,
  minFeeRateSatPerKvb: 1_000,
  maxFeeRateSatPerKvb: 1_000_000,
  gasLimit: DEFAULT_GAS_LIMIT,
  /** Ten years: a developer's chain may stand still for months, and there is nobody to ask for a block of it. */
  trustWindowSeconds: 315_360_000,
  evidenceMaxAgeBlocks: 10_800,
}

/** Blocks as large as those that benches give to other chains' development nodes. */
const BENCH_PARAMS: ParamsFile = { ...DEVELOPMENT_PARAMS, gasLimit: 500_000_000 }

function layout(directory: string, nodes: number, members: number): Federation {
  return {
    directory,
    nodes,
    members,
    genesisFile: join(directory, 'genesis.json'),
    nodeDirectory: (index) => join(directory, `node-${index}`),
    memberDirectory: (index) => join(directory, `member-${index}`),
    recoveryDirectory: (index) => join(directory, `recovery-${index}`),
  }
}

/** The federation that a directory holds; undefined when it holds none. */
export async function loadFederation(directory: string): Promise<Federation | undefined> {
  let text: string
  try {
    text = await readFile(join(directory, 'federation.json'), 'utf8')
  } catch {
    return undefined
  }
  const { nodes, members } = JSON.parse(text) as { nodes: number; members: number }
  return layout(directory, nodes, members)
}

/** Writes keys, genesis, TLS identities and configurations of a new federation. */
export async function createFederation(options: FederationOptions): Promise<Federation> {
  const { directory, nodes, members, nowMs, ports, random } = options
  const params = options.preset === 'bench' ? BENCH_PARAMS : DEVELOPMENT_PARAMS
  const federation = layout(directory, nodes, members)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const secret = () => toHex(random(32))
  const validatorKeys = Array.from({ length: nodes }, () => blsKeyPair(random(32)))
  const memberKeys = Array.from({ length: members }, () => {
    const schnorrSecret = random(32)
    return { ...blsKeyPair(random(32)), schnorrSecret, schnorrKey: schnorrPublicKey(schnorrSecret) }
  })
  const recoverySecrets = Array.from({ length: RECOVERY_KEYS }, () => random(32))
  const genesis = genesisFile({
    params,
    slot: Math.floor(nowMs / params.slotMs),
    prevRandao: random(32),
    bitcoin: options.bitcoin,
    validators: validatorKeys.map(({ publicKey, secretKey }) => ({
      blsKey: toHex(publicKey),
      possession: toHex(provePossession(blsSigner(secretKey))),
      power: 1,
      address: toHex(random(20)),
    })),
    members: memberKeys.map(({ publicKey, secretKey, schnorrKey }) => ({
      blsKey: toHex(publicKey),
      possession: toHex(provePossession(blsSigner(secretKey))),
      schnorrKey: toHex(schnorrKey),
    })),
    recovery: {
      schnorrKeys: recoverySecrets.map((key) => toHex(schnorrPublicKey(key))),
      threshold: RECOVERY_THRESHOLD,
      csvBlocks: options.recoveryDelayBlocks ?? RECOVERY_DELAY_BLOCKS,
    },
  })
  await writeJson(federation.genesisFile, genesis)
  for (const [index, schnorr] of recoverySecrets.entries()) {
    const own = federation.recoveryDirectory(index)
    await mkdir(own, { recursive: true, mode: 0o700 })
    const password = secret()
    await writeSecret(join(own, 'password'), password)
    await writeJson(
      join(own, 'keys.json'),
      sealKeyFile({
        label: `recovery-${index}`,
        publicKeys: { schnorr: schnorrPublicKey(schnorr) },
        secrets: { schnorr },
        password,
        random,
        cost: DEVELOPMENT_COST,
      }),
    )
  }

  const authority = await createAuthority({
    name: 'millrace development authority',
    nowMs,
    validDays: CERTIFICATE_DAYS,
  })
  const issue = (name: string) =>
    issueCertificate(authority, {
      name,
      hosts: ['localhost', '127.0.0.1'],
      nowMs,
      validDays: CERTIFICATE_DAYS,
    })
  const networkSeeds = Array.from({ length: nodes }, () => random(32))
  const peers = await Promise.all(
    networkSeeds.map(
      async (seed, index) =>
        `/ip4/127.0.0.1/tcp/${ports.p2p[index]}/p2p/${await networkPeerId(seed)}`,
    ),
  )
  for (const [index, keys] of validatorKeys.entries()) {
    const own = federation.nodeDirectory(index)
    await mkdir(own, { recursive: true, mode: 0o700 })
    const password = secret()
    await writeSecret(join(own, 'password'), password)
    await writeJson(
      join(own, 'validator.json'),
      sealKeyFile({
        label: `node-${index}`,
        publicKeys: { bls: keys.publicKey },
        secrets: { bls: keys.secretKey },
        password,
        random,
        cost: DEVELOPMENT_COST,
      }),
    )
    await writeSecret(join(own, 'network-key'), toHex(networkSeeds[index] as Uint8Array))
    await writeIdentity(own, authority, await issue(`node-${index}`))
    await writeJson(join(own, 'config.json'), nodeConfig(federation, options, index, peers))
  }
  for (const [index, keys] of memberKeys.entries()) {
    const own = federation.memberDirectory(index)
    await mkdir(own, { recursive: true, mode: 0o700 })
    const password = secret()
    await writeSecret(join(own, 'password'), password)
    await writeJson(
      join(own, 'keys.json'),
      sealKeyFile({
        label: `member-${index}`,
        publicKeys: { bls: keys.publicKey, schnorr: keys.schnorrKey },
        secrets: { bls: keys.secretKey, schnorr: keys.schnorrSecret },
        password,
        random,
        cost: DEVELOPMENT_COST,
      }),
    )
    await writeIdentity(own, authority, await issue(`member-${index}`))
    await writeJson(join(own, 'config.json'), memberConfig(federation, options, index))
  }
  // Last: its presence says that everything else is there.
  await writeJson(join(directory, 'federation.json'), { nodes, members })
  return federation
}

function genesisFile(
  parts: Pick<
    GenesisFile,
    'slot' | 'bitcoin' | 'validators' | 'members' | 'recovery' | 'params'
  > & {
    readonly prevRandao: Uint8Array
  },
): GenesisFile {
  const { prevRandao, ...rest } = parts
  const { gasLimit, minPegOutSat, slotMs } = parts.params
  const execution = { chainId: CHAIN_ID, gasLimit }
  const { payload } = genesisBlock(
    evmGenesisOf({
      slot: parts.slot,
      prevRandao,
      params: { slotMs, minPegOutSat: BigInt(minPegOutSat) },
      execution,
    }),
  )
  return {
    protocolVersion: PROTOCOL_VERSION,
    name: 'millrace-dev',
    ...rest,
    execution: {
      fork: 'osaka',
      ...execution,
      auxChainId: AUX_CHAIN_ID,
      blockHash: toHex(payload.blockHash),
      stateRoot: toHex(payload.stateRoot),
    },
    prevRandao: toHex(prevRandao),
  }
}

function nodeConfig(
  federation: Federation,
  options: FederationOptions,
  index: number,
  peers: readonly string[],
) {
  const own = federation.nodeDirectory(index)
  const { ports } = options
  return {
    name: `node-${index}`,
    dataDir: join(own, 'data'),
    genesisFile: federation.genesisFile,
    validatorKeyFile: join(own, 'validator.json'),
    validatorPasswordFile: join(own, 'password'),
    networkKeyFile: join(own, 'network-key'),
    rpc: {
      host: '127.0.0.1',
      port: ports.rpc[index],
      fallback: false,
      ...(options.preset === 'bench' && { rateLimits: false }),
    },
    ...(options.preset === 'bench' && { pool: { maxTransactions: 50_000 } }),
    // The one whose page is opened; it takes a thread.
    ...(options.preset !== 'bench' && index === 0 && { index: { addresses: true } }),
    p2p: {
      listen: [`/ip4/127.0.0.1/tcp/${ports.p2p[index]}`],
      peers: peers.filter((_, other) => other !== index),
    },
    governance: {
      host: '127.0.0.1',
      port: ports.governance[index],
      authorityFile: join(own, 'authority.pem'),
      certificateFile: join(own, 'certificate.pem'),
      privateKeyFile: join(own, 'private-key.pem'),
    },
    bitcoinUrl: options.bitcoinUrl,
    bitcoinPollMs: 500,
    minFeeCapWei: 0,
    log: { level: 'info', format: 'json' },
  }
}

function memberConfig(federation: Federation, options: FederationOptions, index: number) {
  const { ports } = options
  return {
    name: `member-${index}`,
    genesisFile: federation.genesisFile,
    dataDir: 'data',
    keyFile: 'keys.json',
    passwordFile: 'password',
    bitcoinUrl: options.bitcoinUrl,
    tls: {
      authorityFile: 'authority.pem',
      certificateFile: 'certificate.pem',
      privateKeyFile: 'private-key.pem',
    },
    nodes: ports.governance.map((port, node) => ({
      name: `node-${node}`,
      endpoint: `127.0.0.1:${port}`,
    })),
    status: { host: '127.0.0.1', port: ports.members[index] as number },
  }
}

async function writeIdentity(
  directory: string,
  authority: IdentityFiles,
  identity: IdentityFiles,
): Promise<void> {
  await writeFile(join(directory, 'authority.pem'), authority.certificatePem)
  await writeFile(join(directory, 'certificate.pem'), identity.certificatePem)
  await writeSecret(join(directory, 'private-key.pem'), identity.privateKeyPem)
}

async function writeSecret(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 })
}
