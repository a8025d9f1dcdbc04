/**
 * The rules of the peg, seen from outside: by the blocks that are stored, by the world's own Bitcoin and by what users did (protocol
 * §4.1, §4.2, §4.3, §4.5). Nothing is taken from the ledger that can be counted without it.
 */
import type { PegOperationView } from '../../actors/bridge/index.ts'
import { headerHash, parseTransaction, txid } from '../../core/bitcoin/index.ts'
import {
  type CommittedBlock,
  decodeCommittedBlock,
  PEG_IN_KINDS,
  PEG_ORDER_KINDS,
  type PegInClaim,
  PegInClaimType,
  type PegOrder,
  type PegOrderItem,
  type TransactionProof,
} from '../../core/block/index.ts'
import {
  heightKey,
  type Ledger,
  OUTPUT_KIND,
  OUTPUT_STATE,
  outpointKey,
  rowOf,
  splitOutpoint,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { federationScripts, pegOrderId } from '../../core/peg/index.ts'
import { equalBytes, toDisplayHash, toHex } from '../../crypto/index.ts'
import { displayHash, outpoint } from '../../devnet/bitcoin/index.ts'
import type { MemberMessage, NodeMessage } from '../../proto/index.ts'
import type { SimulatedBitcoin } from './bitcoin.ts'
import type { World } from './world.ts'

/** What a user pays in, as whoever gets it should understand it. */
export interface SentDeposit {
  readonly evmAddress: Uint8Array
  readonly refundScript: Uint8Array
  readonly amountSat: bigint
}

function isClaimOf(claim: PegInClaim | undefined, sent: SentDeposit | undefined): boolean {
  return (
    claim !== undefined &&
    sent !== undefined &&
    claim.amountSat === sent.amountSat &&
    equalBytes(claim.evmAddress, sent.evmAddress) &&
    equalBytes(claim.refundScript, sent.refundScript)
  )
}

/** Whose credits count together (protocol §4.2). */
export const CAP_BLOCKS = 100

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
  /** Batches that t members cancelled, and the txids of their versions since. */
  readonly #cancelled = new Set<string>()
  readonly #cancels = new Set<string>()
  /** Versions of batches that a committed block carries, and the blocks that were looked at. */
  readonly #carried = new Set<string>()
  readonly #seen = new Set<string>()
  /** What users pay in, by `txid:vout`; claims that members were asked about, by their root. */
  readonly #deposits = new Map<string, SentDeposit>()
  readonly #claims = new Map<string, PegInClaim>()
  /** All that users ever sent, and what nodes have shown of it before a block did. */
  readonly #sent = new Map<string, SentDeposit>()
  readonly #pending = new Set<string>()
  readonly #ownScripts: ReadonlySet<string>
  /** Outpoints that blocks have entered. */
  readonly #entered = new Set<string>()
  /** Orders of t members, by id; losses that were booked, by outpoint. */
  readonly #ordered = new Set<string>()
  readonly #booked = new Set<string>()
  #hasKey = false
  /** The last block that brought one new credit and no other deposit. */
  #creditedAt: number | undefined

  constructor(
    world: World,
    genesis: Genesis,
    bitcoin: SimulatedBitcoin,
    ownScripts: ReadonlySet<string>,
  ) {
    this.#world = world
    this.#ownScripts = ownScripts
    this.#genesis = genesis
    this.#bitcoin = bitcoin
    this.#threshold = Math.floor((2 * genesis.members.length) / 3) + 1
    this.#tipHeight = genesis.bitcoin.checkpoint.height
  }

  deposited(outpoint: string, fields: SentDeposit): void {
    this.#deposits.set(outpoint, fields)
    this.#sent.set(outpoint, fields)
  }

  depositGone(txid: string): void {
    for (const outpoint of [...this.#deposits.keys()]) {
      if (outpoint.startsWith(txid)) this.#deposits.delete(outpoint)
    }
  }

  /** Some node stores a block, also one that breaks the rules: what is in it is committed. */
  stored({ bytes, hash }: { readonly bytes: Uint8Array; readonly hash: Uint8Array }): void {
    const name = toHex(hash)
    if (this.#seen.has(name)) return
    this.#seen.add(name)
    const decoded = decodeCommittedBlock(bytes)
    if (!decoded.ok) return
    for (const { batchId, version } of decoded.value.block.body.records) {
      this.#carried.add(`${toHex(batchId)} ${version}`)
    }
  }

  /** A member is asked, by whomever. */
  asked({ body }: NodeMessage): void {
    if (body.kind !== 'requestFederationApproval') return
    const claim = PegInClaimType.deserialize(Uint8Array.from(body.claim))
    this.#claims.set(toHex(PegInClaimType.hashTreeRoot(claim)), claim)
  }

  /** PI-10, PO-11: what a member that does not lie signs is what a user paid, and what a committed block carries. */
  answered(member: number, { body }: MemberMessage): void {
    switch (body.kind) {
      case 'approvalResponse': {
        if (body.decision !== 'APPROVED') return
        const claim = this.#claims.get(toHex(body.claimRoot))
        const sent = this.#deposits.get(body.outpoint)
        this.#world.check('ApprovesDeposits', isClaimOf(claim, sent), () => {
          return `member${member} approves ${body.outpoint}, which no user paid like that`
        })
        return
      }
      case 'signatureResponse':
      case 'partsResponse': {
        if (body.offers.length === 0 && !('parts' in body && body.parts.length > 0)) return
        const name = `${toHex(body.batchId)} ${body.version}`
        this.#world.check('SignsRecorded', this.#carried.has(name), () => {
          return `member${member} signs ${name.slice(0, 16)}, which no block carries`
        })
        return
      }
      default:
    }
  }

  /** The first node stores a height. */
  decided({ block: { body, header } }: CommittedBlock): void {
    const { params } = this.#genesis
    const last = body.bitcoinHeaders.at(-1)
    if (last !== undefined) this.#tipHeight = this.#heightOf(headerHash(last)) ?? this.#tipHeight
    const [only, ...rest] = body.pegIns
    const isOne = only !== undefined && rest.length === 0
    const isNew = isOne && !this.#entered.has(`${toHex(only.txid)}:${only.vout}`)
    if (isNew && PEG_IN_KINDS[only.kind] === 'credit') this.#creditedAt = header.height
    for (const { approval, proofIndex, txid: of, vout } of body.pegIns) {
      const name = `${toHex(of)}:${vout}`
      if (this.#entered.has(name)) this.#world.fault('depositRestored')
      if (this.#booked.has(toHex(outpointKey(of, vout)))) this.#world.fault('lossReturned')
      this.#entered.add(name)
      const proof = body.proofs[proofIndex]
      this.#checkDepth(header.height, proof, params.pegInConfirmations)
      if (proof !== undefined) this.#bitcoin.booked('deposit', proof.blockHash)
      const signers = approval.bitmap.getTrueBitIndexes().length
      this.#world.check('Approved', signers >= this.#threshold, () => {
        return `a deposit in block ${header.height} has ${signers} of ${this.#threshold} approvals`
      })
    }
    for (const { batchId, transaction, version } of body.records) {
      if (version === 0) continue
      this.#world.fault('payoutBumped')
      const parsed = parseTransaction(transaction)
      const isCancel = this.#cancelled.has(toHex(batchId))
      if (parsed.ok) (isCancel ? this.#cancels : this.#bumps).add(toHex(txid(parsed.value)))
      this.#world.log(`batch ${toHex(batchId).slice(0, 16)} bumped: version ${version}`)
    }
    // Records stand before the orders of their block.
    for (const order of body.pegOrders) this.#checkOrder(header.height, order)
    for (const { proofIndex } of body.bookings) {
      const proof = body.proofs[proofIndex]
      const parsed = proof && parseTransaction(proof.transaction)
      const name = parsed?.ok ? toHex(txid(parsed.value)) : ''
      if (this.#bumps.has(name)) this.#world.fault('bumpBooked')
      if (this.#cancels.has(name)) this.#world.fault('cancelBooked')
      this.#checkDepth(header.height, proof, params.payoutConfirmations)
      if (proof !== undefined) this.#bitcoin.booked('payout', proof.blockHash)
    }
    for (const { proofIndex } of body.conflicts) {
      this.#world.fault('payoutReleased')
      this.#checkDepth(header.height, body.proofs[proofIndex], params.conflictDepth)
    }
    for (const { index } of body.payload.withdrawals) {
      this.#world.check('WithdrawalsInOrder', index === this.#withdrawals, () => {
        return `block ${header.height} has withdrawal ${index} instead of ${this.#withdrawals}`
      })
      this.#withdrawals += 1
    }
  }

  /** t members decided on it. */
  ordered(order: PegOrder): void {
    this.#ordered.add(pegOrderId(order))
  }

  #checkOrder(height: number, order: PegOrderItem): void {
    const signers = order.approval.bitmap.getTrueBitIndexes().length
    const isOrdered = this.#ordered.has(pegOrderId(order)) && signers >= this.#threshold
    const kind = PEG_ORDER_KINDS[order.kind]
    this.#world.check('OrderedByMembers', isOrdered, () => {
      return `block ${height} has an order that the members did not give: ${kind}, ${signers} signers`
    })
    if (kind === 'refundTo') this.#world.fault('refundOrdered')
    else if (kind === 'cancel') {
      this.#world.fault('cancelOrdered')
      this.#cancelled.add(toHex(order.subject))
    } else {
      this.#world.fault('lossBooked')
      this.#booked.add(toHex(order.subject))
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
    this.#checkCap(ledger)
    if (!this.#hasKey && ledger.open.keys.size > 0) {
      this.#hasKey = true
      this.#world.fault('keyMade')
      this.#world.log('the federation has made a key')
    }
    for (const { key, row } of ledger.open.reserve.values()) {
      if (row.bitcoinHeight > ledger.state.tipHeight) continue
      const best = rowOf(ledger, 'chain', heightKey(row.bitcoinHeight))?.hash
      const isThere = best !== undefined && equalBytes(best, row.bitcoinHash)
      this.#world.check('RowsOnBestChain', isThere, () => {
        return `${node} counts ${nameOf(key)} as reserve, whose block a reorg took away`
      })
    }
  }

  /** PI-3: what a node tells a user of a deposit that no block holds is what that user sent. */
  checkShown(node: string, operations: readonly PegOperationView[]): void {
    for (const operation of operations) {
      if (operation.direction !== 'in' || operation.step !== 'Detected') continue
      const { amountSat, evmAddress, id } = operation
      const sent = this.#sent.get(id)
      const isRight = sent?.amountSat === amountSat && equalBytes(sent.evmAddress, evmAddress)
      this.#world.check('ShowsDeposits', isRight, () => {
        return `${node} shows ${amountSat} sat by ${id}, which nobody sent like that`
      })
      if (this.#pending.has(id)) continue
      this.#pending.add(id)
      this.#world.fault('depositPending')
    }
  }

  /** Where a block brought one new credit and nothing else, all of the last 100 Bitcoin blocks are within their limit. */
  #checkCap(ledger: Ledger): void {
    const { height, tipHeight } = ledger.state
    if (height !== this.#creditedAt) return
    this.#creditedAt = undefined
    let recentSat = 0n
    for (const [, row] of ledger.sets.outputs.entries()) {
      const isThere = row.kind === OUTPUT_KIND.credit && row.state !== OUTPUT_STATE.absent
      if (isThere && row.bitcoinHeight > tipHeight - CAP_BLOCKS) recentSat += row.amountSat
    }
    const { reorgCapSat } = this.#genesis.params
    this.#world.check('CapKept', recentSat <= reorgCapSat, () => {
      return `block ${height}: ${recentSat} sat are credited in ${CAP_BLOCKS} Bitcoin blocks`
    })
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
      const name = toHex(script)
      if (plain.includes(name) || this.#ownScripts.has(name)) heldSat += valueSat
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
