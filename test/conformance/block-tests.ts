/** BlockchainTests: chains of whole blocks, valid ones and such that must be refused, from their RLP. */
import type { ExecutionPayload, Withdrawal } from '../../core/block/index.ts'
import { checkBlock } from '../../vm/evm/executor.ts'
import type { Fork } from '../../vm/evm/fork.ts'
import { keccak256 } from '../../vm/evm/keccak.ts'
import { decodeInteger, decodeRlp, encodeRlp, type RlpItem } from '../../vm/evm/rlp.ts'
import { overlayView, type StateView } from '../../vm/evm/state.ts'
import { type AccountVectors, bytes, chainOf, forkNamed, hex, preState } from './ethereum.ts'
import { type Case, compared, PASSED, SKIPPED, type Suite, skipped, type Verdict } from './suite.ts'

type BlockVector = { readonly rlp: string; readonly expectException?: string }
type BlockTest = {
  readonly network: string
  readonly genesisRLP: string
  readonly pre: AccountVectors
  readonly blocks: readonly BlockVector[]
  readonly lastblockhash: string
}

function* casesOf(parsed: unknown): Iterable<Case> {
  for (const [name, test] of Object.entries(parsed as Record<string, BlockTest>)) {
    const fork = forkNamed(test.network)
    yield { name, run: async () => (fork ? run(fork, test) : skipped(SKIPPED.fork)) }
  }
}

export const blockTests: readonly Suite[] = ['ValidBlocks', 'InvalidBlocks'].map((folder) => ({
  name: `BlockchainTests/${folder}`,
  files: `ethereum-tests/BlockchainTests/${folder}/**/*.json`,
  casesOf,
}))

type Known = { readonly payload: ExecutionPayload; readonly view: StateView }

async function run(fork: Fork, test: BlockTest): Promise<Verdict> {
  const chain = await chainOf(fork)
  const genesis = readBlock(test.genesisRLP)
  if ('fault' in genesis) return faulty(genesis.fault, 'block 0')
  const { state, root } = preState(test.pre)
  if (hex(root) !== hex(genesis.payload.stateRoot)) {
    return compared('root of block 0', hex(genesis.payload.stateRoot), hex(root))
  }
  const first = genesis.payload
  const known = new Map<string, Known>()
  const view = overlayView(state, EMPTY, first.blockNumber, first.blockHash)
  known.set(hex(first.blockHash), { payload: first, view })
  let head = first
  for (const [index, vector] of test.blocks.entries()) {
    const block = readBlock(vector.rlp)
    if ('fault' in block) {
      if (block.fault === 'malformed' && vector.expectException !== undefined) continue
      return faulty(block.fault, `block ${index}`)
    }
    const { payload } = block
    const parent = known.get(hex(payload.parentHash))
    const checked =
      parent === undefined
        ? { code: 'ParentMissing', reason: hex(payload.parentHash) }
        : await checkBlock(chain, parent.view, parent.payload, payload, [])
    const refused = 'code' in checked
    if (refused !== (vector.expectException !== undefined)) {
      const got = refused ? `${checked.code} ${checked.reason}` : 'accepted'
      const expected = vector.expectException ?? 'accepted'
      return { kind: 'failed', reason: `block ${index}: expected ${expected}, got ${got}` }
    }
    if (refused) continue
    const { blockNumber, blockHash } = payload
    known.set(hex(blockHash), {
      payload,
      view: overlayView((parent as Known).view, checked.delta, blockNumber, blockHash),
    })
    if (blockNumber > head.blockNumber) head = payload
  }
  if (!known.has(test.lastblockhash)) {
    return compared('last block', test.lastblockhash, hex(head.blockHash))
  }
  return PASSED
}

const EMPTY = { accounts: new Map(), storage: new Map(), code: new Map(), nodes: new Map() }

function faulty(fault: Fault, where: string): Verdict {
  if (fault === 'malformed') return { kind: 'failed', reason: `${where} does not decode` }
  return skipped(fault === 'blobs' ? SKIPPED.blobs : SKIPPED.precision)
}

type Fault = 'malformed' | 'blobs' | 'precision'

/**
 * A block as its author sends it to an engine. What an `ExecutionPayload` does not hold (ommers, difficulty, nonce, roots of
 * the body) is in the hash, which the check computes again.
 */
function readBlock(
  rlp: string,
): { readonly payload: ExecutionPayload } | { readonly fault: Fault } {
  const block = listOf(decodeRlp(bytes(rlp)))
  const [header, transactions, ommers, withdrawals] = (block ?? []).map(listOf)
  if (block?.length !== 4 || !header || !transactions || !ommers || !withdrawals) {
    return { fault: 'malformed' }
  }
  if (header.length !== 20 || ommers.length > 0) return { fault: 'malformed' }
  const fields = header.filter((field) => field instanceof Uint8Array)
  if (fields.length !== header.length) return { fault: 'malformed' }
  const at = (index: number) => fields[index] as Uint8Array
  const numbers = [8, 9, 10, 11, 17, 18].map((index) => decodeInteger(at(index), 32))
  const baseFeePerGas = decodeInteger(at(15), 32)
  const list = withdrawals.map(readWithdrawal)
  if (numbers.includes(undefined) || baseFeePerGas === undefined) return { fault: 'malformed' }
  if (list.includes('malformed')) return { fault: 'malformed' }
  if (list.includes('precision') || numbers.some(isInexact)) return { fault: 'precision' }
  const [blockNumber = 0, gasLimit = 0, gasUsed = 0, timestamp = 0, blobGasUsed = 0, excess = 0] =
    numbers.map(Number)
  const raws = transactions.map((item) => (item instanceof Uint8Array ? item : encodeRlp(item)))
  if (blobGasUsed > 0 || excess > 0 || raws.some(([type]) => type === 3)) return { fault: 'blobs' }
  return {
    payload: {
      blockHash: keccak256(encodeRlp(header)),
      parentHash: at(0),
      feeRecipient: at(2),
      stateRoot: at(3),
      receiptsRoot: at(5),
      logsBloom: at(6),
      blockNumber,
      gasLimit,
      gasUsed,
      timestamp,
      extraData: at(12),
      prevRandao: at(13),
      baseFeePerGas,
      transactions: raws,
      withdrawals: list as Withdrawal[],
      blobGasUsed: 0,
      excessBlobGas: 0,
      parentBeaconBlockRoot: at(19),
      executionRequests: [],
    },
  }
}

function isInexact(value: bigint | undefined): boolean {
  return value !== undefined && BigInt(Number(value)) !== value
}

function readWithdrawal(item: RlpItem): Withdrawal | 'malformed' | 'precision' {
  const fields = listOf(item)
  if (fields?.length !== 4) return 'malformed'
  const [index, validatorIndex, amountGwei] = [0, 1, 3].map((at) => decodeInteger(fields[at], 8))
  const address = fields[2]
  if (index === undefined || validatorIndex === undefined || amountGwei === undefined) {
    return 'malformed'
  }
  if (!(address instanceof Uint8Array) || address.length !== 20) return 'malformed'
  if (isInexact(index) || isInexact(validatorIndex)) return 'precision'
  return { index: Number(index), validatorIndex: Number(validatorIndex), address, amountGwei }
}

function listOf(item: RlpItem | undefined): readonly RlpItem[] | undefined {
  return item === undefined || item instanceof Uint8Array ? undefined : item
}
