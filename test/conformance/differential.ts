/**
 * Random programs and transactions, the same ones on our executor and on another: stock @ethereumjs/vm with its own state and trie, or
 * anvil (revm). Whatever differs is told with the seed that shows it again.
 */
import { concatBytes, equalBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { startProcess, stopProcess } from '../../devnet/launcher/processes.ts'
import { createNodeRpc, type NodeRpc, until } from '../../devnet/launcher/rpc.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import type { BuildReply } from '../../vm/evm/engine.ts'
import { keccak256 } from '../../vm/evm/keccak.ts'
import type { Receipt } from '../../vm/evm/receipt.ts'
import { encodeRlp, integerBytes, type RlpItem } from '../../vm/evm/rlp.ts'
import { systemAccounts } from '../../vm/evm/system-contracts.ts'
import { createdAddress } from '../../vm/evm/view/chain-reads.ts'
import { anvilProgram } from '../bench/peers.ts'
import {
  attributes,
  BASE_FEE,
  CHAIN_ID,
  COINBASE,
  GENESIS_TIMESTAMP,
  genesis,
  type Key,
  keyOf,
  mint,
  openEngine,
  signatureOf,
  signed,
  signTyped,
} from '../unit/vm/evm/fixtures.ts'
import { createReference, runReference } from '../unit/vm/evm/reference.ts'
import { Chance, installs, randomCode } from './random-programs.ts'

export interface DifferentialResult {
  readonly transactions: number
  readonly blocks: number
  /** Those that ran to an end without an error. */
  readonly succeeded: number
  readonly refused: number
  readonly gasUsed: number
  /** What differed, the first of it. */
  readonly difference?: string
}

const SENDERS = ['ann', 'ben', 'cleo', 'dora'].map((name) => keyOf(`random ${name}`))
/** They have coins: anvil takes an account that was empty when it was touched for one that exists. */
const AUTHORITIES = [0, 1, 2].map((index) => keyOf(`random authority ${index}`))
const FUNDED = [...SENDERS, ...AUTHORITIES]
const ETHER_GWEI = 10n ** 9n
const FUNDS_GWEI = 1_000_000n * ETHER_GWEI
const NO_BLOCKHASH_OR_RANDAO: ReadonlySet<number> = new Set([0x40, 0x44])

/** Makes transactions one after the other; the nonces are its own to count. */
class Source {
  readonly #chance: Chance
  readonly #nonces = new Map<Key, number>(SENDERS.map((key) => [key, 0]))
  readonly #contracts: Uint8Array[] = [keyOf('random nobody').address]
  readonly #forbidden: ReadonlySet<number>

  constructor(seed: number, forbidden: ReadonlySet<number> = new Set()) {
    this.#chance = new Chance(seed)
    this.#forbidden = forbidden
  }

  next(): { readonly raw: Uint8Array; accepted(): void } {
    const chance = this.#chance
    const key = chance.pick(SENDERS)
    const nonce = this.#nonces.get(key) ?? 0
    const raw = this.#transaction(key, nonce)
    return { raw, accepted: () => this.#nonces.set(key, nonce + 1) }
  }

  #code(): Uint8Array {
    const code = randomCode(this.#chance, [
      ...this.#contracts,
      ...SENDERS.map((key) => key.address),
    ])
    return code.map((byte) => (this.#forbidden.has(byte) ? 0x5b : byte))
  }

  #transaction(key: Key, nonce: number): Uint8Array {
    const chance = this.#chance
    const value = BigInt(chance.once(3) ? chance.below(1_000) : 0)
    const gas = BigInt(chance.pick([200_000, 300_000, 400_000, 1_000_000]))
    const tip = BigInt(chance.below(5))
    switch (chance.below(10)) {
      case 0:
      case 1:
      case 2: {
        this.#contracts.push(createdAddress(key.address, BigInt(nonce)))
        if (this.#contracts.length > 24) this.#contracts.splice(chance.below(20), 1)
        return signed(key, { nonce, data: installs(this.#code()), gas, value, tip })
      }
      case 3:
        return signed(key, { nonce, data: this.#code(), gas, value, tip })
      case 4:
        return this.#listed(key, nonce, gas, value)
      case 5:
        return this.#delegating(key, nonce, gas)
      case 6:
        return signed(key, { nonce, to: chance.pick(SENDERS).address, gas: 21_000n, value, tip })
      default: {
        const data = chance.bytes(chance.below(100))
        return signed(key, { nonce, to: chance.pick(this.#contracts), data, gas, value, tip })
      }
    }
  }

  /** EIP-2930. */
  #listed(key: Key, nonce: number, gas: bigint, value: bigint): Uint8Array {
    const chance = this.#chance
    const slots = Array.from({ length: chance.below(4) }, (_, slot) =>
      concatBytes(new Uint8Array(31), Uint8Array.of(slot)),
    )
    return signTyped(key, 1, [
      integerBytes(CHAIN_ID),
      integerBytes(nonce),
      integerBytes(10n * BASE_FEE),
      integerBytes(gas),
      chance.pick(this.#contracts),
      integerBytes(value),
      chance.bytes(chance.below(40)),
      [[chance.pick(this.#contracts), slots]],
    ])
  }

  /** EIP-7702: an account becomes a contract's, or itself again, or the tuple does not fit. */
  #delegating(key: Key, nonce: number, gas: bigint): Uint8Array {
    const chance = this.#chance
    const authority = chance.pick(AUTHORITIES)
    const target = chance.once(4) ? new Uint8Array(20) : chance.pick(this.#contracts)
    const tuple = [integerBytes(CHAIN_ID), target, integerBytes(chance.below(3))]
    const hash = keccak256(concatBytes(Uint8Array.of(5), encodeRlp(tuple)))
    const fields: RlpItem[] = [
      integerBytes(CHAIN_ID),
      integerBytes(nonce),
      integerBytes(1),
      integerBytes(10n * BASE_FEE),
      integerBytes(gas),
      authority.address,
      integerBytes(0),
      chance.bytes(chance.below(40)),
      [],
      [[...tuple, ...signatureOf(authority, hash)]],
    ]
    return signTyped(key, 4, fields)
  }
}

type Built = Extract<BuildReply, { status: 'BUILT' }>

/** Our side: an engine in memory, one block after the other. */
class Ours {
  readonly #parts: Awaited<ReturnType<typeof openEngine>>
  #parentHash: Uint8Array
  height = 0

  constructor(parts: Awaited<ReturnType<typeof openEngine>>) {
    this.#parts = parts
    this.#parentHash = parts.head.hash
  }

  get state() {
    return this.#parts.store.state
  }

  async block(raws: readonly Uint8Array[]): Promise<Built> {
    this.height += 1
    const withdrawals =
      this.height === 1 ? FUNDED.map(({ address }, at) => mint(address, FUNDS_GWEI, at)) : []
    const reply = await this.#parts.engine.build({
      ...attributes(this.#parentHash, this.height % 256),
      timestamp: GENESIS_TIMESTAMP + this.height,
      gasLimitTarget: genesis.gasLimit,
      withdrawals,
      transactions: raws.map((raw) => ({ raw })),
    })
    if (reply.status !== 'BUILT') throw new Error(reply.reason)
    await this.#parts.engine.commit(reply.payload.blockHash)
    this.#parentHash = reply.payload.blockHash
    return reply
  }

  receipts(): readonly Receipt[] {
    return this.#parts.store.blocks.at(-1)?.receipts ?? []
  }
}

const PER_BLOCK = 12

/** Against stock @ethereumjs/vm: every block runs there too; roots, receipts, gas and the hash are compared. */
export async function againstLibrary(seed: number, count: number): Promise<DifferentialResult> {
  const ours = new Ours(await openEngine())
  const reference = await createReference()
  const source = new Source(seed)
  const tally = { transactions: 0, blocks: 0, succeeded: 0, refused: 0, gasUsed: 0 }
  await runReference(reference, (await ours.block([])).payload)
  while (tally.transactions < count) {
    const raws: Uint8Array[] = []
    const wanted = Math.min(PER_BLOCK, count - tally.transactions)
    while (raws.length < wanted) {
      const { raw, accepted } = source.next()
      raws.push(raw)
      accepted()
    }
    const { payload, dropped } = await ours.block(raws)
    tally.blocks += 1
    tally.transactions += raws.length
    tally.refused += dropped.length
    tally.gasUsed += payload.gasUsed
    tally.succeeded += ours.receipts().filter(({ status }) => status === 1).length
    try {
      await runReference(reference, payload)
    } catch (error) {
      return { ...tally, difference: `block ${ours.height}: ${(error as Error).message}` }
    }
    if (dropped.length > 0) {
      const first = dropped[0]
      return {
        ...tally,
        difference: `block ${ours.height} refuses ${first?.hash}: ${first?.reason}`,
      }
    }
  }
  return tally
}

/** A chain of random blocks, replayed from genesis by an engine that knows nothing: what comes to stand in the two stores. */
export async function replayed(seed: number, blocks: number) {
  const built = await openEngine()
  const ours = new Ours(built)
  const source = new Source(seed)
  await ours.block([])
  for (let block = 0; block < blocks; block++) {
    const raws = Array.from({ length: PER_BLOCK }, () => {
      const { raw, accepted } = source.next()
      accepted()
      return raw
    })
    await ours.block(raws)
  }
  const again = await openEngine()
  for (const { payload } of built.store.blocks.slice(1)) {
    const verdict = await again.engine.execute({ payload })
    if (verdict.status !== 'VALID') throw new Error(`block ${payload.blockNumber}: ${verdict.code}`)
    await again.engine.commit(payload.blockHash)
  }
  return { built: built.store, replayed: again.store }
}

interface RpcReceipt {
  readonly status: string
  readonly gasUsed: string
  readonly cumulativeGasUsed: string
  readonly logs: readonly {
    readonly address: string
    readonly topics: readonly string[]
    readonly data: string
  }[]
}

const START_MS = 30_000
const quantity = (value: number | bigint) => `0x${value.toString(16)}`
const hexOf = (bytes: Uint8Array) => `0x${toHex(bytes)}`

/** Against anvil, a transaction a block: receipts at once, every account and slot at the end. Undefined: there is no anvil here. */
export async function againstAnvil(
  seed: number,
  count: number,
  told: (done: number) => void = () => {},
): Promise<DifferentialResult | undefined> {
  const program = await anvilProgram()
  if (program === undefined) return undefined
  const found = await findPort({ host: '127.0.0.1', port: 21_500 }, { fallback: true })
  if (!found.ok) throw new Error('no free port')
  const flags = ['--port', String(found.value), '--chain-id', String(CHAIN_ID), '--accounts', '1']
  flags.push('--gas-limit', String(genesis.gasLimit), '--hardfork', 'osaka', '--silent')
  flags.push('--timestamp', String(GENESIS_TIMESTAMP), '--order', 'fifo')
  const anvil = startProcess('anvil', program, flags, '/dev/null')
  try {
    const rpc = createNodeRpc(`http://127.0.0.1:${found.value}`)
    await until('an answer of anvil', START_MS, () => rpc.call('eth_chainId'))
    return await compareWithAnvil(rpc, seed, count, told)
  } finally {
    await stopProcess(anvil)
  }
}

async function compareWithAnvil(
  rpc: NodeRpc,
  seed: number,
  count: number,
  told: (done: number) => void,
): Promise<DifferentialResult> {
  const ours = new Ours(await openEngine())
  const source = new Source(seed, NO_BLOCKHASH_OR_RANDAO)
  const tally = { transactions: 0, blocks: 0, succeeded: 0, refused: 0, gasUsed: 0 }
  await rpc.call('anvil_setCoinbase', [hexOf(COINBASE)])
  for (const { address } of FUNDED) {
    await rpc.call('anvil_setBalance', [hexOf(address), quantity(FUNDS_GWEI * ETHER_GWEI)])
  }
  await ours.block([])
  await rpc.call('evm_setNextBlockTimestamp', [GENESIS_TIMESTAMP + 1])
  await rpc.call('evm_mine', [])
  while (tally.transactions < count) {
    const { raw, accepted } = source.next()
    const { payload, dropped } = await ours.block([raw])
    tally.transactions += 1
    tally.blocks += 1
    tally.gasUsed += payload.gasUsed
    if (tally.transactions % 500 === 0) told(tally.transactions)
    const refusal = dropped[0]?.reason
    const theirs = await onAnvil(rpc, raw, payload.timestamp, payload.baseFeePerGas)
    if (refusal !== undefined || theirs === undefined) {
      tally.refused += 1
      if (refusal === undefined || theirs !== undefined) {
        const who = theirs === undefined ? 'anvil alone refuses' : `we alone refuse (${refusal})`
        return { ...tally, difference: `${who} ${hexOf(keccak256(raw))}, number ${ours.height}` }
      }
      // Neither took it: both have an empty block at this height.
      await rpc.call('evm_mine', [])
      continue
    }
    accepted()
    const [receipt] = ours.receipts()
    if (receipt?.status === 1) tally.succeeded += 1
    const difference = receipt && differingReceipt(receipt, theirs)
    if (difference !== undefined) {
      return { ...tally, difference: `${hexOf(keccak256(raw))}: ${difference}\n${toHex(raw)}` }
    }
  }
  const difference = await differingState(rpc, ours)
  return difference === undefined ? tally : { ...tally, difference }
}

async function onAnvil(
  rpc: NodeRpc,
  raw: Uint8Array,
  timestamp: number,
  baseFeeWei: bigint,
): Promise<RpcReceipt | undefined> {
  await rpc.call('evm_setNextBlockTimestamp', [timestamp])
  await rpc.call('anvil_setNextBlockBaseFeePerGas', [quantity(baseFeeWei)])
  let hash: string
  try {
    hash = await rpc.call<string>('eth_sendRawTransaction', [hexOf(raw)])
  } catch {
    return undefined
  }
  return until(
    'a receipt of anvil',
    START_MS,
    async () =>
      (await rpc.call<RpcReceipt | null>('eth_getTransactionReceipt', [hash])) ?? undefined,
    2,
  )
}

function differingReceipt(ours: Receipt, theirs: RpcReceipt): string | undefined {
  const own = JSON.stringify({
    status: ours.status,
    gasUsed: ours.cumulativeGasUsed,
    logs: ours.logs.map((log) => [hexOf(log.address), log.topics.map(hexOf), hexOf(log.data)]),
  })
  const other = JSON.stringify({
    status: Number(theirs.status),
    gasUsed: Number(theirs.gasUsed),
    logs: theirs.logs.map((log) => [log.address.toLowerCase(), log.topics, log.data]),
  })
  return own === other ? undefined : `ours ${own}, anvil ${other}`
}

/** Every account that our chain's transactions made or changed. */
async function differingState(rpc: NodeRpc, ours: Ours): Promise<string | undefined> {
  const { state } = ours
  const system = new Set(systemAddresses())
  for (const [addressHex, account] of state.accounts) {
    if (system.has(addressHex)) continue
    const address = `0x${addressHex}`
    const [balance, nonce, code] = await Promise.all([
      rpc.call<string>('eth_getBalance', [address, 'latest']),
      rpc.call<string>('eth_getTransactionCount', [address, 'latest']),
      rpc.call<string>('eth_getCode', [address, 'latest']),
    ])
    const own = `${account.balance} ${account.nonce}`
    const other = `${BigInt(balance)} ${BigInt(nonce)}`
    if (own !== other) return `balance and nonce of ${address}: ours ${own}, anvil ${other}`
    if (!equalBytes(keccak256(hexBytes(code.slice(2))), account.codeHash))
      return `code of ${address}`
    for (const slot of state.slots(addressHex)) {
      const value = await rpc.call<string>('eth_getStorageAt', [address, `0x${slot}`, 'latest'])
      const held = toHex(state.storage(addressHex, slot)).padStart(64, '0')
      if (value !== `0x${held}`) return `slot ${slot} of ${address}: ours ${held}, anvil ${value}`
    }
  }
  return undefined
}

/** Those of the genesis block, which anvil has not, or writes to by itself. */
function systemAddresses(): string[] {
  return systemAccounts(genesis).map(({ address }) => toHex(address))
}
