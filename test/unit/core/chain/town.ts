/**
 * A whole chain in memory: a genesis with real keys, the EVM on a map, a regtest Bitcoin that is mined here, members and
 * validators that sign. Blocks are made by core/chain's producer and certified by a quorum.
 */
import { BitArray } from '@chainsafe/ssz'
import {
  authorMessage,
  type Block,
  type BlockHeader,
  blockHash,
  bodyRoot,
  type CommittedBlock,
  type Evidence,
  type ExecutionPayload,
  evidenceRoot,
  type PegOrderItem,
  type QuorumCertificate,
  randaoMessage,
  type ValidatorChangeItem,
  voteMessage,
} from '../../../../core/block/index.ts'
import {
  type ChainHead,
  checkBlock,
  completeBlock,
  type ExecutionEffects,
  genesisHead,
  planBlock,
  sealBlock,
  validatorsAfter,
} from '../../../../core/chain/index.ts'
import {
  type Genesis,
  type ParamsFile,
  parseGenesis,
  type Validator,
} from '../../../../core/params/index.ts'
import { authorOfSlot, quorum } from '../../../../core/pbft/index.ts'
import type { PegQueue } from '../../../../core/peg/index.ts'
import {
  type BlsKeyPair,
  blsAggregate,
  blsKeyPair,
  blsSign,
  blsSuite,
  equalBytes,
  toHex,
} from '../../../../crypto/index.ts'
import { Engine } from '../../../../vm/evm/engine.ts'
import { evmGenesisOf, genesisBlock, hashPayload } from '../../../../vm/evm/index.ts'
import { MemoryStore } from '../../vm/evm/memory-store.ts'
import { approve, BitcoinWorld, claimOf, depositOf, seeded, testGenesis } from '../peg/world.ts'

export const EMPTY_QUEUE: PegQueue = { headers: [], pegIns: [], bookings: [] }
const FAR_MS = 8_640_000_000_000_000
const FEE_RATE = 2000

/** The peg tests' genesis with the EVM block 0 that its parameters give. */
export function townGenesis(changes: Partial<ParamsFile> = {}): Genesis {
  const base = testGenesis(changes)
  const { payload } = genesisBlock(evmGenesisOf(base))
  const parsed = parseGenesis(
    {
      ...base.file,
      execution: {
        ...base.file.execution,
        blockHash: toHex(payload.blockHash),
        stateRoot: toHex(payload.stateRoot),
      },
    },
    blsSuite,
  )
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

export const validatorKeys: readonly BlsKeyPair[] = Array.from({ length: 4 }, (_, index) =>
  blsKeyPair(seeded(`validator ${index}`)),
)

/** Of those who may become validators. */
export const joiningKeys: readonly BlsKeyPair[] = Array.from({ length: 3 }, (_, index) =>
  blsKeyPair(seeded(`joining ${index}`)),
)

export function keyOfValidator(publicKey: Uint8Array): BlsKeyPair {
  const found = [...validatorKeys, ...joiningKeys].find((keys) =>
    equalBytes(keys.publicKey, publicKey),
  )
  if (found === undefined) throw new Error('no validator has this key')
  return found
}

interface CertifyOptions {
  readonly view?: number
  readonly phase?: 'commit' | 'prepare'
  readonly validators?: readonly Validator[]
  readonly bits?: number
}

/** A certificate of these positions for the block, whether or not they are a quorum. */
export function certify(
  genesis: Genesis,
  height: number,
  hash: Uint8Array,
  signers: readonly number[] = [0, 1, 2],
  {
    view = 0,
    phase = 'commit',
    validators = genesis.validators,
    bits = validators.length,
  }: CertifyOptions = {},
): QuorumCertificate {
  const message = voteMessage(genesis.hash, phase, height, view, hash)
  const bitmap = BitArray.fromBitLen(bits)
  for (const index of signers) bitmap.set(index, true)
  const signatures = signers.map((index) =>
    blsSign(keyOfValidator((validators[index] as Validator).blsKey).secretKey, message),
  )
  const signature = blsAggregate(signatures) ?? new Uint8Array(96)
  return { height, view, blockHash: hash, bitmap, signature }
}

export function signBlock(genesis: Genesis, block: Block): Block {
  const message = authorMessage(genesis.hash, block.header, blockHash(block.header))
  return {
    ...block,
    signature: blsSign(keyOfValidator(block.header.author).secretKey, message),
  }
}

export interface Reseal {
  readonly header?: Partial<BlockHeader>
  readonly body?: Partial<Block['body']>
  readonly payload?: Partial<ExecutionPayload>
}

/** A forger's block: fields changed, and every hash, root and signature that he can make made good again. */
export function reseal(genesis: Genesis, block: Block, changes: Reseal): Block {
  const payload = { ...block.body.payload, ...changes.payload }
  const hash = changes.payload?.blockHash ?? hashPayload(payload)
  const body = { ...block.body, payload: { ...payload, blockHash: hash }, ...changes.body }
  const header = {
    ...block.header,
    bodyRoot: bodyRoot(body),
    evidenceRoot: evidenceRoot(body.evidence),
    evmBlockHash: body.payload.blockHash,
    ...changes.header,
  }
  return signBlock(genesis, { header, body, signature: block.signature })
}

export interface Made {
  readonly parent: ChainHead
  readonly block: Block
  readonly head: ChainHead
  readonly outcome: ExecutionEffects
}

export interface MakeOptions {
  readonly queue?: PegQueue | undefined
  readonly transactions?: readonly Uint8Array[]
  /** Slots after the parent's. */
  readonly skip?: number
  readonly feeRateSatPerKvb?: number
  readonly validatorChanges?: readonly ValidatorChangeItem[]
  readonly pegOrders?: readonly PegOrderItem[]
  readonly evidence?: readonly Evidence[]
}

export class Town {
  readonly genesis: Genesis
  readonly bitcoin = new BitcoinWorld()
  readonly engine: Engine
  readonly store: MemoryStore
  readonly chain: CommittedBlock[] = []
  head: ChainHead
  certificate: QuorumCertificate | undefined

  private constructor(genesis: Genesis, engine: Engine, store: MemoryStore) {
    this.genesis = genesis
    this.engine = engine
    this.store = store
    this.head = genesisHead(genesis)
  }

  static async open(changes: Partial<ParamsFile> = {}): Promise<Town> {
    const genesis = townGenesis(changes)
    const { engine, store } = await openTownEngine(genesis)
    return new Town(genesis, engine, store)
  }

  /** The next block by its right author, executed and not committed. Throws where a proposer would skip the slot. */
  async make(options: MakeOptions = {}): Promise<Made> {
    const { genesis, head: parent } = this
    const { skip = 1, queue = EMPTY_QUEUE, transactions = [] } = options
    const slot = parent.header.slot + skip
    const author = authorOfSlot(validatorsAfter(parent), parent.header.slot, slot)
    if (author === undefined) throw new Error(`no view starts at slot ${slot}`)
    const keys = keyOfValidator(author.blsKey)
    const reveal = blsSign(keys.secretKey, randaoMessage(genesis.hash, slot))
    const rate = options.feeRateSatPerKvb ?? FEE_RATE
    const { evidence = [], pegOrders = [], validatorChanges = [] } = options
    const extras = { evidence, pegOrders, validatorChanges }
    const plan = planBlock(genesis, parent, slot, queue, rate, reveal, extras)
    if (!plan.ok) throw new Error(plan.error.code)
    const { timestamp, prevRandao, gasLimit, withdrawals } = plan.value
    const built = await this.engine.build({
      parentHash: parent.evm.hash,
      timestamp,
      prevRandao,
      feeRecipient: author.address,
      withdrawals,
      parentBeaconBlockRoot: parent.hash,
      gasLimitTarget: gasLimit,
      transactions: transactions.map((raw) => ({ raw })),
      deadlineMs: FAR_MS,
    })
    if (built.status !== 'BUILT') throw new Error(built.reason)
    if (built.dropped.length > 0) throw new Error(`dropped: ${built.dropped[0]?.reason}`)
    const { payload, outcome } = built
    const sealed = sealBlock(
      genesis,
      parent,
      this.certificate,
      plan.value,
      author,
      payload,
      outcome,
    )
    if (!sealed.ok) throw new Error(`${sealed.error.code} ${sealed.error.detail ?? ''}`)
    const block = signBlock(genesis, sealed.value.block)
    return { parent, block, head: sealed.value.head, outcome }
  }

  /** Commits a block with a quorum's certificate. */
  async commit(made: Made): Promise<void> {
    const { header } = made.block
    const validators = validatorsAfter(this.head)
    const signers = Array.from({ length: quorum(validators) }, (_, index) => index)
    const certificate = certify(this.genesis, header.height, made.head.hash, signers, {
      validators,
    })
    this.chain.push({ block: made.block, certificate })
    const reply = await this.engine.commit(made.block.body.payload.blockHash)
    if (reply.status !== 'COMMITTED') throw new Error(reply.reason)
    this.head = made.head
    this.certificate = certificate
  }

  async grow(options: MakeOptions = {}): Promise<Made> {
    const made = await this.make(options)
    await this.commit(made)
    return made
  }

  /** The code of the rule that the block breaks; undefined when it is valid up to and with `effects`. */
  codeOf(block: Block, effects?: ExecutionEffects, parent = this.head): string | undefined {
    const begun = checkBlock(this.genesis, parent, block)
    if (!begun.ok) return detailed(begun.error)
    if (effects === undefined) return undefined
    const completed = completeBlock(this.genesis, parent, begun.value, effects)
    return completed.ok ? undefined : detailed(completed.error)
  }

  /** A deposit that is mined, buried and approved, and the headers that prove it. */
  deposit(name: string, amountSat: bigint, evmAddress?: Uint8Array): PegQueue {
    const transaction = depositOf(this.genesis, name, amountSat, evmAddress)
    this.bitcoin.mine([transaction])
    this.bitcoin.mine([], 2)
    const claim = claimOf(this.bitcoin, transaction)
    return {
      headers: this.bitcoin.headersAfter(this.head.ledger.state.tipHeight),
      pegIns: [{ claim, approval: approve(this.genesis, claim) }],
      bookings: [],
    }
  }
}

/** Another engine for the same genesis: the validator's beside the proposer's. */
export async function openTownEngine(
  genesis: Genesis,
  store = new MemoryStore(),
): Promise<{ engine: Engine; store: MemoryStore }> {
  const { engine, reply } = await Engine.open(store, evmGenesisOf(genesis), () => 0)
  if (reply.status !== 'OPEN') throw new Error(reply.reason)
  return { engine, store }
}

function detailed({ code, detail }: { readonly code: string; readonly detail?: string }): string {
  return code === 'WrongPayloadField' && detail !== undefined ? `${code} ${detail}` : code
}
