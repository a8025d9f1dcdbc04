/**
 * The rules of the peg, seen from outside: by the blocks that are stored, by the world's own Bitcoin and by what users did (protocol
 * §4.1, §4.2, §4.3, §4.5). Nothing is taken from the ledger that can be counted without it.
 */
import { headerHash, parseTransaction, txid } from '../../core/bitcoin/index.ts'
import type { CommittedBlock, TransactionProof } from '../../core/block/index.ts'
import { heightKey, type Ledger, rowOf, splitOutpoint } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { federationScripts } from '../../core/peg/index.ts'
import { equalBytes, toDisplayHash, toHex } from '../../crypto/index.ts'
import { displayHash, outpoint } from '../../devnet/bitcoin/index.ts'
import type { SimulatedBitcoin } from './bitcoin.ts'
import type { World } from './world.ts'

export class PegWatch {
  readonly #world: World
  readonly #genesis: Genesis
  readonly #bitcoin: SimulatedBitcoin
  readonly #threshold: number
  /** Height of the last Bitcoin header that a block carried. */
  #tipHeight: number
  #withdrawals = 0
  /** Txids of further versions. */
  readonly #bumps = new Set<string>()

  constructor(world: World, genesis: Genesis, bitcoin: SimulatedBitcoin) {
    this.#world = world
    this.#genesis = genesis
    this.#bitcoin = bitcoin
    this.#threshold = Math.floor((2 * genesis.members.length) / 3) + 1
    this.#tipHeight = genesis.bitcoin.checkpoint.height
  }

  /** The first node stores a height. */
  decided({ block: { body, header } }: CommittedBlock): void {
    const { params } = this.#genesis
    const last = body.bitcoinHeaders.at(-1)
    if (last !== undefined) this.#tipHeight = this.#heightOf(headerHash(last)) ?? this.#tipHeight
    for (const { approval, proofIndex } of body.pegIns) {
      this.#checkDepth(header.height, body.proofs[proofIndex], params.pegInConfirmations)
      const signers = approval.bitmap.getTrueBitIndexes().length
      this.#world.check('Approved', signers >= this.#threshold, () => {
        return `a deposit in block ${header.height} has ${signers} of ${this.#threshold} approvals`
      })
    }
    for (const { batchId, transaction, version } of body.records) {
      if (version === 0) continue
      this.#world.fault('payoutBumped')
      const parsed = parseTransaction(transaction)
      if (parsed.ok) this.#bumps.add(toHex(txid(parsed.value)))
      this.#world.log(`batch ${toHex(batchId).slice(0, 16)} bumped: version ${version}`)
    }
    for (const { proofIndex } of body.bookings) {
      const proof = body.proofs[proofIndex]
      const parsed = proof && parseTransaction(proof.transaction)
      if (parsed?.ok && this.#bumps.has(toHex(txid(parsed.value)))) this.#world.fault('bumpBooked')
      this.#checkDepth(header.height, proof, params.payoutConfirmations)
      if (proof !== undefined) this.#bitcoin.booked(proof.blockHash)
    }
    for (const { index } of body.payload.withdrawals) {
      this.#world.check('WithdrawalsInOrder', index === this.#withdrawals, () => {
        return `block ${header.height} has withdrawal ${index} instead of ${this.#withdrawals}`
      })
      this.#withdrawals += 1
    }
  }

  #checkDepth(height: number, proof: TransactionProof | undefined, needed: number): void {
    const at = proof && this.#heightOf(proof.blockHash)
    const depth = at === undefined ? 0 : this.#tipHeight - at + 1
    this.#world.check('Buried', depth >= needed, () => {
      return `block ${height} takes what Bitcoin holds under ${depth} of ${needed} blocks`
    })
  }

  #heightOf(hash: Uint8Array): number | undefined {
    return this.#bitcoin.regtest.chain.node(displayHash(hash))?.height
  }

  /** A node shows another head. */
  checkRows(node: string, ledger: Ledger): void {
    for (const { key, row } of ledger.open.reserve.values()) {
      if (row.bitcoinHeight > ledger.state.tipHeight) continue
      const best = rowOf(ledger, 'chain', heightKey(row.bitcoinHeight))?.hash
      const isThere = best !== undefined && equalBytes(best, row.bitcoinHash)
      this.#world.check('RowsOnBestChain', isThere, () => {
        return `${node} counts ${nameOf(key)} as reserve, whose block a reorg took away`
      })
    }
  }

  /** When nothing of the peg is under way: the books are what Bitcoin holds. */
  atRest(ledger: Ledger): void {
    const { chain } = this.#bitcoin.regtest
    const { open, state } = ledger
    const plain = federationScripts(this.#genesis, state.epoch, open.keys).map((one) =>
      toHex(one.scriptPubKey),
    )
    let heldSat = 0n
    for (const [, { script, valueSat }] of chain.coins()) {
      if (plain.includes(toHex(script))) heldSat += valueSat
    }
    const { reserveSat } = state
    this.#world.check('ReserveIsReal', heldSat === reserveSat, () => {
      return `the books say ${reserveSat} sat, Bitcoin holds ${heldSat}`
    })
    for (const { key, row } of open.reserve.values()) {
      const { txid, vout } = splitOutpoint(key)
      const coin = chain.coin(outpoint(displayHash(txid), vout))
      this.#world.check('ReserveIsReal', coin?.valueSat === row.amountSat, () => {
        return `${nameOf(key)} of the reserve is no coin of ${row.amountSat} sat`
      })
    }
  }
}

function nameOf(key: Uint8Array): string {
  const { txid, vout } = splitOutpoint(key)
  return `${toDisplayHash(txid)}:${vout}`
}
