/** A small world for the peg's tests: a genesis with known keys, a regtest Bitcoin whose blocks are mined here, members that sign. */

import {
  type BitcoinOutput,
  type BitcoinTransaction,
  compactSize,
  headerHash,
  meetsProofOfWork,
  readBlock,
  serializeHeader,
  serializeTransaction,
  txid,
  uint32le,
  type WholeBlock,
} from '../../../../core/bitcoin/index.ts'
import {
  type MemberApproval,
  PEG_IN_KINDS,
  type PegInClaim,
  REFUND_REASONS,
  type TransactionProof,
  type Withdrawal,
} from '../../../../core/block/index.ts'
import {
  genesisLedger,
  heightKey,
  type Ledger,
  LedgerDraft,
} from '../../../../core/ledger/index.ts'
import {
  type Genesis,
  type ParamsFile,
  PROTOCOL_VERSION,
  parseGenesis,
} from '../../../../core/params/index.ts'
import {
  approvalMessage,
  type BridgeBurn,
  type BridgeCancel,
  type BridgeFund,
  beginBlock,
  buildProof,
  changeOutput,
  combineApprovals,
  depositPayloadScript,
  emptyPegBody,
  finishBlock,
  type PegBody,
  type PegContext,
  type PegError,
} from '../../../../core/peg/index.ts'
import {
  bitcoinMerkleRoot,
  bitcoinMerkleTree,
  blsKeyPair,
  blsSign,
  blsSigner,
  blsSuite,
  concatBytes,
  provePossession,
  schnorrPublicKey,
  sha256,
  toHex,
} from '../../../../crypto/index.ts'

export const POW_LIMIT_BITS = 0x207fffff
const START_TIME = 1_700_000_000

export function seeded(name: string): Uint8Array {
  return sha256(new TextEncoder().encode(name))
}

export function addressOf(name: string): Uint8Array {
  return seeded(`address ${name}`).slice(0, 20)
}

export function p2wpkh(name: string): Uint8Array {
  return Uint8Array.of(0, 20, ...seeded(`script ${name}`).subarray(0, 20))
}

export const memberKeys = Array.from({ length: 4 }, (_, index) =>
  blsKeyPair(seeded(`member ${index}`)),
)

function mine(previousHash: Uint8Array, merkleRoot: Uint8Array, time: number): Uint8Array {
  for (let nonce = 0; ; nonce++) {
    const header = { version: 4, previousHash, merkleRoot, time, bits: POW_LIMIT_BITS, nonce }
    const bytes = serializeHeader(header)
    if (meetsProofOfWork(headerHash(bytes), POW_LIMIT_BITS, POW_LIMIT_BITS)) return bytes
  }
}

const genesisHeader = mine(new Uint8Array(32), seeded('root'), START_TIME)

/** Parameters of the genesis file whose bytes stand in the golden tests. */
export const PINNED = { trustWindowSeconds: 86_400 } as const

/** A trust window that real clocks do not leave, for the slot of block 0 is long past. */
export function testGenesis(changes: Partial<ParamsFile> = {}): Genesis {
  const validators = Array.from({ length: 4 }, (_, index) => {
    const keys = blsKeyPair(seeded(`validator ${index}`))
    return {
      blsKey: toHex(keys.publicKey),
      possession: toHex(provePossession(blsSigner(keys.secretKey))),
      power: 1,
      address: toHex(addressOf(`validator ${index}`)),
    }
  })
  const members = memberKeys.map((keys, index) => ({
    blsKey: toHex(keys.publicKey),
    possession: toHex(provePossession(blsSigner(keys.secretKey))),
    schnorrKey: toHex(schnorrPublicKey(seeded(`schnorr ${index}`))),
  }))
  const parsed = parseGenesis(
    {
      protocolVersion: PROTOCOL_VERSION,
      name: 'test',
      bitcoin: {
        network: 'regtest',
        genesisHash: toHex(headerHash(genesisHeader).toReversed()),
        powLimitBits: POW_LIMIT_BITS,
        noRetargeting: true,
        allowMinDifficulty: true,
        checkpoint: {
          height: 0,
          header: toHex(genesisHeader),
          chainWork: `${'00'.repeat(31)}02`,
          times: [START_TIME],
          periodStart: toHex(genesisHeader),
        },
      },
      validators,
      members,
      recovery: {
        schnorrKeys: [toHex(schnorrPublicKey(seeded('recovery')))],
        threshold: 1,
        csvBlocks: 1000,
      },
      params: {
        slotMs: 1000,
        anchorGate: 'off',
        pegInConfirmations: 3,
        payoutConfirmations: 2,
        conflictDepth: 3,
        minPegInSat: 10_000,
        maxPegInSat: 100_000_000,
        totalCapSat: 1_000_000_000,
        dailyCapSat: 500_000_000,
        reorgCapSat: 500_000_000,
        pegInFeeSat: 1000,
        refundFeeSat: 500,
        minPegOutSat: 10_000,
        batchWindowSeconds: 5,
        refundAfterBlocks: 10,
        advanceCapSat: 100_000,
        minFeeRateSatPerKvb: 1000,
        maxFeeRateSatPerKvb: 500_000,
        gasLimit: 60_000_000,
        trustWindowSeconds: 3_155_760_000,
        evidenceMaxAgeBlocks: 100,
        ...changes,
      },
      execution: {
        fork: 'osaka',
        chainId: 1337,
        auxChainId: 99,
        gasLimit: 60_000_000,
        blockHash: '11'.repeat(32),
        stateRoot: '22'.repeat(32),
      },
      slot: START_TIME,
      prevRandao: '33'.repeat(32),
    },
    blsSuite,
  )
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

export interface MinedBlock {
  readonly hash: Uint8Array
  readonly header: Uint8Array
  readonly height: number
  readonly transactions: readonly BitcoinTransaction[]
}

/** A regtest chain; `fork` gives another one that shares its first blocks. */
export class BitcoinWorld {
  readonly blocks: MinedBlock[]
  readonly #salt: string

  constructor(salt = 'main', blocks?: readonly MinedBlock[]) {
    this.#salt = salt
    this.blocks = blocks
      ? [...blocks]
      : [{ hash: headerHash(genesisHeader), header: genesisHeader, height: 0, transactions: [] }]
  }

  get tip(): MinedBlock {
    return this.blocks.at(-1) as MinedBlock
  }

  /** `coinbase`: of the first block, where it matters. */
  mine(
    transactions: readonly BitcoinTransaction[] = [],
    count = 1,
    coinbase?: BitcoinTransaction,
  ): MinedBlock {
    for (let index = 0; index < count; index++) {
      const height = this.tip.height + 1
      const own = (index === 0 ? coinbase : undefined) ?? coinbaseOf(height, this.#salt)
      const all = [own, ...(index === 0 ? transactions : [])]
      const header = mine(
        this.tip.hash,
        bitcoinMerkleRoot(bitcoinMerkleTree(all.map((transaction) => txid(transaction)))),
        START_TIME + height,
      )
      this.blocks.push({ hash: headerHash(header), header, height, transactions: all })
    }
    return this.tip
  }

  fork(height: number, salt: string): BitcoinWorld {
    return new BitcoinWorld(salt, this.blocks.slice(0, height + 1))
  }

  headersAfter(height: number): Uint8Array[] {
    return this.blocks.slice(height + 1).map(({ header }) => header)
  }

  proofOf(transaction: BitcoinTransaction): TransactionProof {
    const id = toHex(txid(transaction))
    for (const block of this.blocks) {
      const txids = block.transactions.map((other) => txid(other))
      const index = txids.findIndex((other) => toHex(other) === id)
      if (index < 0) continue
      const proof = buildProof({
        blockHash: block.hash,
        tree: bitcoinMerkleTree(txids),
        index,
        transaction: serializeTransaction(transaction),
        coinbase: serializeTransaction(block.transactions[0] as BitcoinTransaction),
      })
      if (!proof.ok) throw new Error(proof.error.code)
      return proof.value
    }
    throw new Error(`not mined: ${id}`)
  }
}

/** A block as Bitcoin sends it. */
export function rawBlock({ header, transactions }: MinedBlock): Uint8Array {
  const bodies = transactions.map((each) => serializeTransaction(each))
  return concatBytes(header, compactSize(bodies.length), ...bodies)
}

export function wholeBlock(block: MinedBlock): WholeBlock {
  const read = readBlock(block.hash, rawBlock(block))
  if (!read.ok) throw new Error(read.error.reason)
  return read.value
}

function coinbaseOf(height: number, salt: string): BitcoinTransaction {
  const input = {
    txid: new Uint8Array(32),
    vout: 0xffffffff,
    scriptSig: Uint8Array.of(4, ...uint32le(height), ...new TextEncoder().encode(salt)),
    sequence: 0xffffffff,
    witness: [],
  }
  return {
    version: 2,
    inputs: [input],
    outputs: [{ amountSat: 50_0000_0000n, scriptPubKey: p2wpkh('miner') }],
    lockTime: 0,
  }
}

/** A transaction that spends an outpoint named by `from` (or a given one) to `outputs`. */
export function payment(
  from: string | { readonly txid: Uint8Array; readonly vout: number },
  outputs: readonly BitcoinOutput[],
): BitcoinTransaction {
  const outpoint = typeof from === 'string' ? { txid: seeded(`funding ${from}`), vout: 0 } : from
  return {
    version: 2,
    inputs: [{ ...outpoint, scriptSig: new Uint8Array(0), sequence: 0xffffffff, witness: [] }],
    outputs,
    lockTime: 0,
  }
}

/** A deposit in the OP_RETURN form. */
export function depositOf(
  genesis: Genesis,
  name: string,
  amountSat: bigint,
  evmAddress: Uint8Array = addressOf(name),
): BitcoinTransaction {
  return payment(name, [
    { amountSat, scriptPubKey: changeOutput(genesis, 0).scriptPubKey },
    { amountSat: 0n, scriptPubKey: depositPayloadScript(evmAddress) },
  ])
}

type ClaimChanges = Partial<Omit<PegInClaim, 'kind' | 'reason'>> & {
  readonly kind?: (typeof PEG_IN_KINDS)[number]
  readonly reason?: (typeof REFUND_REASONS)[number]
}

export function claimOf(
  bitcoin: BitcoinWorld,
  transaction: BitcoinTransaction,
  changes: ClaimChanges = {},
): PegInClaim {
  const { kind = 'credit', reason = 'none', ...rest } = changes
  const vout = rest.vout ?? 0
  const message = transaction.outputs.at(-1)?.scriptPubKey ?? new Uint8Array(0)
  return {
    kind: PEG_IN_KINDS.indexOf(kind),
    reason: REFUND_REASONS.indexOf(reason),
    txid: txid(transaction),
    vout,
    amountSat: transaction.outputs[vout]?.amountSat ?? 0n,
    evmAddress: kind === 'credit' ? message.slice(2, 22) : new Uint8Array(20),
    refundScript: new Uint8Array(0),
    depositEpoch: 0,
    proof: bitcoin.proofOf(transaction),
    ...rest,
  }
}

/** The approval of the members with these indexes, whether or not they are enough. */
export function approve(
  genesis: Genesis,
  claim: PegInClaim,
  signers: readonly number[] = [0, 1, 2],
  epoch = 0,
): MemberApproval {
  const message = approvalMessage(genesis, 'pegIn', epoch, claim)
  const signatures = new Map(
    signers.map((index) => [
      index,
      blsSign((memberKeys[index] as { secretKey: Uint8Array }).secretKey, message),
    ]),
  )
  const few = { ...genesis, memberThreshold: 1 }
  return combineApprovals(few, epoch, signatures) as MemberApproval
}

export interface Step {
  readonly items?: Partial<PegBody>
  readonly burns?: readonly BridgeBurn[]
  readonly cancels?: readonly BridgeCancel[]
  readonly funds?: readonly BridgeFund[]
  readonly feesBurnedWei?: bigint
  readonly feeRateSatPerKvb?: number
}

/** A chain of peg blocks over one ledger. */
export class PegWorld {
  readonly genesis: Genesis
  readonly bitcoin: BitcoinWorld
  ledger: Ledger
  height = 0
  timestamp = START_TIME + 100_000
  feeRates: number[] = [2000]
  withdrawals: readonly Withdrawal[] = []

  constructor(changes: Partial<ParamsFile> = {}) {
    this.genesis = testGenesis(changes)
    this.bitcoin = new BitcoinWorld()
    this.ledger = genesisLedger(this.genesis)
  }

  context(changes: Partial<PegContext> = {}): PegContext {
    const slot = this.timestamp + 1
    return {
      genesis: this.genesis,
      params: this.genesis.params,
      height: this.height + 1,
      slot,
      parentSlot: slot - 1,
      viewZeroSlot: slot,
      timestamp: this.timestamp + 1,
      feeRateSatPerKvb: 2000,
      recentFeeRates: this.feeRates,
      ...changes,
    }
  }

  begin(items: Partial<PegBody>, changes: Partial<PegContext> = {}) {
    return beginBlock(this.ledger, this.context(changes), { ...emptyPegBody(), ...items })
  }

  /** The code of the rule that a block with these items breaks; undefined when it is valid. */
  codeOf(items: Partial<PegBody>, changes: Partial<PegContext> = {}): PegError['code'] | undefined {
    const begun = this.begin(items, changes)
    return begun.ok ? undefined : begun.error.code
  }

  evmBlockHash(): Uint8Array {
    return seeded(`evm block ${this.height + 1}`)
  }

  /** One valid block; throws the error of an invalid one. */
  block(step: Step = {}): void {
    const begun = this.begin(step.items ?? {})
    if (!begun.ok) throw new Error(`${begun.error.code} ${begun.error.detail ?? ''}`)
    const finished = finishBlock(begun.value.ledger, {
      genesis: this.genesis,
      params: this.genesis.params,
      height: this.height + 1,
      timestamp: this.timestamp + 1,
      evmBlockHash: this.evmBlockHash(),
      burns: step.burns ?? [],
      cancels: step.cancels ?? [],
      funds: step.funds ?? [],
      feesBurnedWei: step.feesBurnedWei ?? 0n,
    })
    if (!finished.ok) throw new Error(`${finished.error.code} ${finished.error.detail ?? ''}`)
    this.ledger = finished.value.ledger
    this.withdrawals = begun.value.withdrawals
    this.height += 1
    this.timestamp += 1
    this.feeRates = [...this.feeRates, 2000].slice(-9)
  }

  /** Headers that the ledger lacks, in one block. */
  syncHeaders(bitcoin: BitcoinWorld = this.bitcoin): void {
    this.block({ items: { bitcoinHeaders: bitcoin.headersAfter(this.ledger.state.tipHeight) } })
  }

  item(claim: PegInClaim, approval = approve(this.genesis, claim), proofIndex = 0) {
    const { proof, ...fields } = claim
    return { ...fields, proofIndex, approval }
  }

  /** Mines a deposit, buries it and puts it into a block. */
  pegIn(name: string, amountSat: bigint): PegInClaim {
    const transaction = depositOf(this.genesis, name, amountSat)
    this.bitcoin.mine([transaction])
    this.bitcoin.mine([], 2)
    const claim = claimOf(this.bitcoin, transaction)
    this.block({
      items: {
        bitcoinHeaders: this.bitcoin.headersAfter(this.ledger.state.tipHeight),
        proofs: [claim.proof],
        pegIns: [this.item(claim)],
      },
    })
    return claim
  }

  /** From the next block on the key of the next epoch is the federation's. */
  newKey(bitcoinHeight = this.ledger.state.tipHeight): void {
    const epoch = this.ledger.state.epoch + 1
    const draft = new LedgerDraft(this.ledger, true)
    const publicKey = schnorrPublicKey(seeded(`key ${epoch}`))
    draft.put('keys', heightKey(epoch), {
      publicKey,
      commitments: [concatBytes(Uint8Array.of(2), publicKey)],
      signers: [1, 2, 3, 4],
      sessionId: seeded(`session ${epoch}`),
      height: this.height,
      bitcoinHeight,
    })
    draft.update({ epoch })
    this.ledger = draft.finish()
  }

  burn(name: string, amountSat: bigint, bytes = p2wpkh(name), logIndex = 0): BridgeBurn {
    return { logIndex, evmAddress: addressOf(name), bytes, valueWei: amountSat * 10n ** 10n }
  }
}
