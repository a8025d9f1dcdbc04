/**
 * A federation node in the hands of a thief (issue 3, "Done when" 3): real members are asked to approve deposits and to sign batches
 * that are not so. One of them sees no other node. Nobody may approve or sign anything false, nothing is minted, no coin moves; and when
 * the thief is gone the federation works as before.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PegInClaim } from '../../core/block/index.ts'
import { blsPublicKey, equalBytes, hexBytes, openKeyFile, toHex } from '../../crypto/index.ts'
import type { MemberBody, NodeBody } from '../../proto/index.ts'
import { TestFederation } from './federation.ts'
import {
  type ForgedBatch,
  forgedBatches,
  forgedCertificates,
  forgedHeader,
  proofAnswer,
  type RecordedBatch,
  recordedBatch,
} from './forged-batches.ts'
import {
  askApproval,
  type ClaimSources,
  forgedClaims,
  honestClaim,
  proofOf,
  THIEF,
} from './forged-claims.ts'
import { Forger, stealChain } from './forger.ts'
import type { Outcome, ScenarioOptions } from './scenario.ts'
import {
  Account,
  booked,
  include,
  minted,
  payDeposit,
  payFederation,
  payWithMessage,
  reached,
  WEI_PER_SAT,
} from './user.ts'

const DEPOSIT_SAT = 500_000_000n
const PEG_OUT_SAT = 10_000_000n
/** A member answers at once, or after it has waited 15 s for a header that nobody certified. */
const ANSWER_MS = 60_000
/** Blocks after the last forgery in which something could show up. */
const AFTERMATH_BLOCKS = 4
const THIEF_ACCOUNT = `0x${toHex(THIEF)}`

export async function forgeries(options: ScenarioOptions): Promise<Outcome> {
  const { nodes, members, bitcoin, tell } = options
  const federation = await TestFederation.prepare({ nodes, members, bitcoin })
  const run = new ForgeryRun(federation, options)
  let outcome: Outcome
  let orphans: number[] = []
  try {
    const stage = await run.setUp()
    tell('the stage is set')
    await run.askForApprovals(stage)
    await run.askForSignatures(stage)
    await run.talkNonsense(stage)
    outcome = await run.conclude(stage)
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${federation.logTails()}`)
  } finally {
    orphans = await federation.stop()
  }
  return {
    ok: outcome.ok && orphans.length === 0,
    figures: { ...outcome.figures, orphans: orphans.length },
  }
}

interface Stage {
  readonly forger: Forger
  readonly sources: ClaimSources
  readonly batch: RecordedBatch
  readonly account: Account
  readonly before: Holdings
}

interface Holdings {
  readonly mintedSat: bigint
  readonly onBitcoinSat: bigint
}

class ForgeryRun {
  readonly #federation: TestFederation
  readonly #options: ScenarioOptions
  /** The node that is taken over, and the member that sees no other. */
  readonly #node: number
  readonly #lonely: number
  readonly #answers = new Map<string, number>()
  #attempts = 0
  #approvals = 0
  #signatures = 0
  #controls = 0

  constructor(federation: TestFederation, options: ScenarioOptions) {
    this.#federation = federation
    this.#options = options
    this.#node = options.nodes - 1
    this.#lonely = options.members - 1
  }

  /** Deposits of every kind, a payout that is booked, one that is recorded and signed, and then the thief. */
  async setUp(): Promise<Stage> {
    const federation = this.#federation
    const { rpc, bitcoin, genesis } = federation
    for (let index = 0; index < this.#lonely; index++) federation.startMember(index)
    for (let index = 0; index < this.#options.nodes; index++) federation.startNode(index)
    for (let index = 0; index < this.#options.nodes; index++) await federation.answers(index)
    await federation.heightAtLeast(1)
    federation.startMining()
    const account = Account.random(Number(await rpc.call<string>('eth_chainId')))
    const good = await payWithMessage(federation, account.address, DEPOSIT_SAT)
    await minted(rpc, good)
    const bad = `${await payFederation(federation, [DEPOSIT_SAT], [])}:0`
    const strangers = await federation.wallet.pay([
      { scriptPubKey: hexBytes(`0014${'11'.repeat(20)}`), amountSat: DEPOSIT_SAT },
    ])
    await reached(rpc, bad, 'the record', ({ step }) => step === 'Included')
    const first = await include(rpc, await account.burn(federation.wallet.address, PEG_OUT_SAT))
    const paid = await booked(rpc, first)
    await federation.stopMining()
    const second = await include(rpc, await account.burn(federation.wallet.address, PEG_OUT_SAT))
    const open = await reached(rpc, second, 'the broadcast', ({ step }) => step === 'Broadcast')
    const young = await payWithMessage(federation, account.address, DEPOSIT_SAT)
    await federation.mine(1)
    const claimOf = async (outpoint: string) =>
      honestClaim(genesis, await proofOf(bitcoin, outpoint.split(':')[0] as string))
    const sources: ClaimSources = {
      genesis,
      good: await claimOf(good),
      young: await claimOf(young),
      refundable: await claimOf(bad),
      strangers: await proofOf(bitcoin, strangers),
      payout: await proofOf(bitcoin, paid.txid as string),
    }
    await federation.stopNode(this.#node)
    const chain = await stealChain(federation, this.#node)
    const forger = new Forger(federation, this.#node, chain)
    this.#isolate()
    federation.startMember(this.#lonely)
    await forger.open(this.#options.members)
    const batch = recordedBatch(chain.ledger, hexBytes(open.batchId as string))
    return { forger, sources, batch, account, before: await this.#holdings() }
  }

  /** Every forged claim to every member, and the true one, so that silence of the members cannot pass for caution. */
  async askForApprovals({ forger, sources }: Stage): Promise<void> {
    const claims = forgedClaims(sources)
    const asked = claims.flatMap(({ what, body }) =>
      this.#members().map((member) => ({ what, body, member })),
    )
    await Promise.all(
      asked.map(async ({ what, body, member }) => {
        this.#judge(what, await forger.ask(member, body, ANSWER_MS), (answer) => {
          if (answer.kind !== 'approvalResponse') return
          if (answer.decision === 'APPROVED' || answer.signature.length > 0) this.#approvals += 1
        })
      }),
    )
    this.#options.tell(`${this.#attempts} forged claims, ${this.#approvals} approvals`)
    for (const member of this.#members()) {
      const answer = await forger.ask(member, askApproval(sources.genesis, sources.good), ANSWER_MS)
      if (answer?.kind === 'approvalResponse' && answer.decision === 'APPROVED') this.#controls += 1
    }
  }

  /** Rows of false ledgers under the real header, under no header, and under headers with false certificates. */
  async askForSignatures(stage: Stage): Promise<void> {
    const { forger, batch } = stage
    const { genesis } = this.#federation
    const { chain } = forger
    const { header } = chain.head.block
    const before = this.#attempts
    for (const forged of forgedBatches(genesis, chain.ledger, batch)) {
      const asked = this.#members().map((member) =>
        this.#askForged(stage, forged, header.height, member),
      )
      await Promise.all(asked)
    }
    const keys = this.#stolenKey()
    const [stranger] = forgedBatches(genesis, chain.ledger, batch) as [ForgedBatch]
    const next = forgedHeader(header, stranger.ledger, blsPublicKey(keys))
    const position = genesis.validators.findIndex(({ blsKey }) =>
      equalBytes(blsKey, blsPublicKey(keys)),
    )
    const honest = chain.head.certificate
    for (const [what, certificate] of forgedCertificates(genesis, next, honest, position, keys)) {
      this.#attempts += this.#members().length
      this.#count(`head: ${what}`)
      for (const member of this.#members()) forger.say(member, forger.announce(next, certificate))
    }
    await this.#askForged(stage, stranger, next.height, this.#lonely)
    this.#options.tell(
      `${this.#attempts - before} forged batches and heads, ${this.#signatures} signatures`,
    )
    // The member that sees only the thief has not signed this batch yet; what is true it signs even for him.
    forger.proofs.delete(toHex(batch.id))
    const answer = await forger.ask(this.#lonely, this.#askSignature(batch.id, 0), ANSWER_MS)
    if (answer?.kind === 'signatureResponse' && answer.offers.length > 0) this.#controls += 1
  }

  /** Answers that nobody asked for, garbage where structures are expected, messages that are none. */
  async talkNonsense({ forger, sources, batch }: Stage): Promise<void> {
    const garbage = new Uint8Array(2_000).map((_, index) => (index * 31) % 251)
    const head = { header: garbage, certificate: garbage, nextValidators: garbage }
    const row = { set: 'batches', key: garbage, present: true, row: garbage, proof: garbage }
    const nonsense: readonly NodeBody[] = [
      { kind: 'unrecognized' },
      { kind: 'registrationAck', memberIndex: 2, heartbeatMs: 1 },
      { kind: 'heartbeatAck', sequence: 99, sentAtMs: 0 },
      { kind: 'newHead', height: 1_000_000, head },
      { kind: 'newHead', height: 0, head: { ...head, header: new Uint8Array(0) } },
      { kind: 'certifiedHeaders', fromHeight: 1, headers: Array.from({ length: 512 }, () => head) },
      { kind: 'certifiedHeaders', fromHeight: 1_000_000_000, headers: [] },
      { kind: 'ledgerProof', height: 5, rows: Array.from({ length: 512 }, () => row) },
      { kind: 'ledgerProof', height: 1, rows: [] },
      { kind: 'chainStatus', height: 7, blockHash: garbage, connectedMembers: 4_000_000 },
      { kind: 'errorResponse', code: 'x'.repeat(10_000), message: '\u0000', retryAfterMs: 1 },
    ]
    const ids = ['', `batch:${toHex(batch.id)}:0@0`, 'headers-1-1', 'x'.repeat(50_000)]
    for (const body of nonsense) {
      for (const requestId of ids) {
        for (const member of this.#members()) forger.say(member, body, requestId)
        this.#attempts += this.#members().length
      }
    }
    // Behind the nonsense a question: whoever answers it has survived.
    for (const member of this.#members()) {
      const asked = askApproval(sources.genesis, { ...sources.good, evmAddress: THIEF })
      this.#judge('after nonsense', await forger.ask(member, asked, ANSWER_MS), (answer) => {
        if (answer.kind === 'approvalResponse' && answer.decision === 'REFUSED') this.#controls += 1
      })
    }
  }

  /** What came of it; then the node is its owner's again and a coin goes in and out. */
  async conclude({ forger, sources, account, before }: Stage): Promise<Outcome> {
    const federation = this.#federation
    const { rpc } = federation
    const { height } = await federation.head()
    await federation.heightAtLeast(height + AFTERMATH_BLOCKS)
    const after = await this.#holdings()
    const thiefWei = BigInt(await rpc.call<string>('eth_getBalance', [THIEF_ACCOUNT, 'latest']))
    await forger.close()
    federation.startNode(this.#node)
    await federation.answers(this.#node)
    federation.startMining()
    await minted(rpc, outpointOf(sources.young))
    await minted(rpc, await payDeposit(federation, account.address, DEPOSIT_SAT))
    await booked(
      rpc,
      await include(rpc, await account.burn(federation.wallet.address, PEG_OUT_SAT)),
    )
    const reserves = await federation.reserves()
    const expectedControls = 2 * this.#members().length + 1
    const figures = {
      attempts: this.#attempts,
      approvals: this.#approvals,
      signatures: this.#signatures,
      minted: String(after.mintedSat - before.mintedSat + thiefWei / WEI_PER_SAT),
      movedSat: String(before.onBitcoinSat - after.onBitcoinSat),
      controls: `${this.#controls} of ${expectedControls}`,
      balanced: reserves.balanced,
      answers: Object.fromEntries([...this.#answers].sort()),
    }
    const ok =
      this.#approvals === 0 &&
      this.#signatures === 0 &&
      figures.minted === '0' &&
      figures.movedSat === '0' &&
      this.#controls === expectedControls &&
      reserves.balanced
    return { ok, figures: { ...figures, minted: Number(figures.minted) } }
  }

  #members(): number[] {
    return Array.from({ length: this.#options.members }, (_, index) => index)
  }

  /** The last member knows of one node only: the thief's. */
  #isolate(): void {
    const path = join(this.#federation.files.memberDirectory(this.#lonely), 'config.json')
    const config = JSON.parse(readFileSync(path, 'utf8')) as { nodes: unknown[] }
    writeFileSync(path, JSON.stringify({ ...config, nodes: [config.nodes[this.#node]] }))
  }

  #stolenKey(): Uint8Array {
    const own = this.#federation.files.nodeDirectory(this.#node)
    const text = (name: string) => readFileSync(join(own, name), 'utf8')
    const opened = openKeyFile(JSON.parse(text('validator.json')), text('password').trim())
    if (!opened.ok) throw new Error(opened.error.code)
    return opened.value['bls'] as Uint8Array
  }

  async #holdings(): Promise<Holdings> {
    const { totals } = await this.#federation.reserves()
    const onBitcoinSat = await this.#federation.reserveOnBitcoin()
    return { mintedSat: BigInt(totals.mintedSat), onBitcoinSat }
  }

  #askSignature(batchId: Uint8Array, version: number): NodeBody {
    const genesisHash = this.#federation.genesis.hash
    return { kind: 'signatureRequest', genesisHash, batchId, version, attempt: 0, height: 1 }
  }

  async #askForged(
    stage: Stage,
    { what, id, version, genesisHash, ledger }: ForgedBatch,
    height: number,
    member: number,
  ): Promise<void> {
    const { forger } = stage
    forger.proofs.set(toHex(id), proofAnswer(ledger, height, id, version))
    const body: NodeBody = {
      kind: 'signatureRequest',
      genesisHash,
      batchId: id,
      version,
      attempt: 0,
      height,
    }
    this.#judge(what, await forger.ask(member, body, ANSWER_MS), (answer) => {
      // Who offers nonces has decided to sign.
      if (answer.kind === 'signatureResponse') this.#signatures += answer.offers.length
    })
  }

  #judge(what: string, answer: MemberBody | undefined, judge: (answer: MemberBody) => void): void {
    this.#attempts += 1
    if (answer === undefined) this.#count(`${what}: no answer`)
    else {
      this.#count('code' in answer ? answer.code || 'APPROVED' : answer.kind)
      judge(answer)
    }
  }

  #count(code: string): void {
    this.#answers.set(code, (this.#answers.get(code) ?? 0) + 1)
  }
}

function outpointOf({ txid, vout }: PegInClaim): string {
  return `${toHex(Uint8Array.from(txid).reverse())}:${vout}`
}
