/** What holds a member's secrets, whichever it is: it decides by what is shown, remembers what it agreed to, and uses nonces once. */

import { answerQuery } from '../../actors/stream/index.ts'
import { batchToSign, signingTask } from '../../bridge/index.ts'
import {
  blockHash,
  decodeKeygenItem,
  hashValidators,
  PegInClaimType,
} from '../../core/block/index.ts'
import type { CertifiedHeader, KnownBlock } from '../../core/light/index.ts'
import { approvalMessage, NO_KEYS } from '../../core/peg/index.ts'
import { joinParts, offerFault } from '../../core/signing/index.ts'
import { blsVerify, toDisplayHash } from '../../crypto/index.ts'
import { keygenRowsToSpeak } from '../../governance/evidence.ts'
import type { OfferGiven, OfferQuestion, Vault, VaultVerdict } from '../../governance/port.ts'
import { provenRows, worldWithBatch } from '../unit/bridge/world.ts'
import { Ceremony, EPOCH } from '../unit/core/keygen/ceremony.ts'
import { BitcoinWorld, claimOf, depositOf, seeded, testGenesis } from '../unit/core/peg/world.ts'
import { TestSigner } from '../unit/core/signing/together.ts'
import { bitcoinOf, HeaderChain } from '../unit/governance/world.ts'

export interface VaultUnderTest {
  readonly vault: Vault
  /** Its process dies, and another one has its disk; `lines` stand in the journal then, too. */
  restart(lines?: readonly string[]): Promise<VaultUnderTest>
  close(): Promise<void>
}

export interface VaultPolicy {
  readonly dailyLimitSat?: number
  readonly hold?: boolean
}

export interface VaultSetting extends VaultPolicy {
  /** Of `awayGenesis`, whose block 0 is older than its trust window. */
  readonly isAway?: boolean
  readonly trustedBlock?: KnownBlock
}

const genesis = testGenesis()
export const awayGenesis = testGenesis({ trustWindowSeconds: 86_400 })
const bitcoin = new BitcoinWorld()
const deposit = depositOf(genesis, 'alice', 2_000_000n)
bitcoin.mine([deposit])
bitcoin.mine([], 2)
const claim = claimOf(bitcoin, deposit)
const request = {
  genesisHash: genesis.hash,
  outpoint: `${toDisplayHash(claim.txid)}:${claim.vout}`,
  membersEpoch: 0,
  claim: PegInClaimType.serialize(claim),
}
const awayDeposit = depositOf(awayGenesis, 'alice', 2_000_000n)
bitcoin.mine([awayDeposit])
bitcoin.mine([], 2)
const awayClaim = claimOf(bitcoin, awayDeposit)
const AWAY = { kind: 'unknown', code: 'BitcoinUnreachable' } as const

const made = worldWithBatch()
const { batchId, world } = made
const chain = new HeaderChain(genesis)
const header: CertifiedHeader = chain.commit(world.ledger)
const batch = batchToSign(world.ledger, made.spend)
const others = [1, 2].map((index) => new TestSigner(index, seeded(`schnorr ${index}`)))

async function question(changes: Partial<OfferQuestion> = {}): Promise<OfferQuestion> {
  const rows = await provenRows(world.ledger, batchId)
  const asked = { genesisHash: genesis.hash, batchId, version: 0, attempt: 0 }
  return { node: 0, request: asked, evidence: { header, rows }, keys: [], ...changes }
}

function taskOf(attempt: number) {
  if (batch === undefined) throw new Error('no batch')
  return signingTask(genesis, NO_KEYS, { batchId, version: 0, attempt }, batch)
}

function given(verdict: VaultVerdict<OfferGiven>): OfferGiven {
  if (verdict.kind !== 'sign') throw new Error(verdict.code)
  return verdict.value
}

/** The list that a node makes of the vault's offer. */
function listWith({ offer }: OfferGiven, attempt = 0) {
  return [offer, ...others.map((other) => other.offer(taskOf(attempt)))]
}

export function vaultSuite(
  name: string,
  open: (setting?: VaultSetting) => Promise<VaultUnderTest>,
  nowMs: () => number,
): void {
  describe(`a vault: ${name}`, () => {
    let under: VaultUnderTest
    const start = async (setting: VaultSetting = {}) => {
      under = await open(setting)
      return under.vault
    }
    const restart = async (lines: readonly string[] = []) => {
      under = await under.restart(lines)
      return under.vault
    }
    afterEach(() => under.close())

    it('approves what the member’s Bitcoin shows, and says the same again after a restart without it (PI-10)', async () => {
      const vault = await start()
      const sight = await bitcoinOf(bitcoin).sight(claim.proof.blockHash, claim.txid)
      const first = await vault.approve({ request, sight, keys: [] })
      expect(first).toMatchObject({ kind: 'sign', value: { isNew: true } })
      const signature = first.kind === 'sign' ? first.value.signature : new Uint8Array(0)
      const key = genesis.members[0]?.blsKey as Uint8Array
      expect(blsVerify(key, approvalMessage(genesis, 'pegIn', 0, claim), signature)).toBe(true)
      const again = await (await restart()).approve({ request, sight: AWAY, keys: [] })
      expect(again).toEqual({ kind: 'sign', value: { signature, isNew: false } })
    })

    it('approves nothing that it is not shown, nor what is no claim of this chain', async () => {
      const vault = await start()
      const sight = await bitcoinOf(bitcoin).sight(claim.proof.blockHash, seeded('another'))
      expect(await vault.approve({ request, sight, keys: [] })).toEqual({
        kind: 'refuse',
        code: 'TransactionNotInBlock',
      })
      expect(await vault.approve({ request, sight: AWAY, keys: [] })).toMatchObject({
        kind: 'unknown',
        code: 'BitcoinUnreachable',
      })
      const foreign = { ...request, genesisHash: seeded('another chain') }
      expect(await vault.approve({ request: foreign, sight, keys: [] })).toMatchObject({
        code: 'WrongChain',
      })
      const broken = { ...request, claim: request.claim.slice(1) }
      expect(await vault.approve({ request: broken, sight, keys: [] })).toMatchObject({
        code: 'ClaimMalformed',
      })
    })

    it('signs a batch whose rows stand under a certified header, with the others (PO-11, PO-12)', async () => {
      const vault = await start()
      const offered = given(await vault.offer(await question()))
      expect(offered.begun?.paidSat).toBeGreaterThan(0n)
      expect(offerFault(taskOf(0), offered.offer)).toBeUndefined()
      const list = listWith(offered)
      const answer = await vault.parts({ node: 0, batchId, version: 0, attempt: 0, offers: list })
      if (answer.kind !== 'sign') throw new Error(answer.code)
      const { listHash, next, parts, signature } = answer.value
      const mine = { member: 0, listHash, parts, signature }
      const all = [mine, ...others.map((other) => other.parts(taskOf(0), list))]
      for (const index of taskOf(0).inputs.keys()) {
        expect(joinParts(taskOf(0), list, all, index)).toMatchObject({ ok: true })
      }
      expect(next?.serial).toBeGreaterThan(offered.offer.serial)
      expect(given(await vault.offer(await question({ node: 1 }))).begun).toBeUndefined()
    })

    it('signs for nobody’s word: rows that are not proven, and headers that no quorum certified (PO-11, 5.6)', async () => {
      const vault = await start()
      const asked = await question()
      const { rows } = asked.evidence
      const bent = rows.map((row) => ({ ...row, row: row.row.map((byte) => byte ^ 1) }))
      const root = { ...header.header, ledgerRoot: seeded('a root of my own') }
      const few = chain.certified(world.ledger, {}, [0, 1])
      const cases: readonly (readonly [OfferQuestion['evidence'], string])[] = [
        [{ header, rows: bent }, 'RowUnproven'],
        [{ header, rows: [] }, 'RowUnproven'],
      ]
      for (const [evidence, code] of cases) {
        expect(await vault.offer({ ...asked, evidence })).toMatchObject({ kind: 'refuse', code })
      }
      // Whoever carried the header is at fault and not the batch: another proof may hold.
      const carried: readonly (readonly [OfferQuestion['evidence'], string])[] = [
        [{ header: { ...header, header: root }, rows }, 'CertificateMismatch'],
        [{ header: few, rows }, 'CertificateInvalid'],
      ]
      for (const [evidence, code] of carried) {
        expect(await vault.offer({ ...asked, evidence })).toMatchObject({ kind: 'unknown', code })
      }
      expect(await vault.offer(asked)).toMatchObject({ kind: 'sign' })
    })

    it('uses its nonces once, for the list that holds its offer, and has none after a restart (PO-12, 5.4)', async () => {
      let vault = await start()
      const ask = (offers: ReturnType<typeof listWith>, node = 0) =>
        vault.parts({ node, batchId, version: 0, attempt: 0, offers })
      const list = listWith(given(await vault.offer(await question())))
      expect(await ask(list)).toMatchObject({ kind: 'sign' })
      expect(await ask(list)).toMatchObject({ kind: 'refuse', code: 'OtherOffer' })
      expect(await ask(list)).toMatchObject({ kind: 'unknown', code: 'NoncesUnknown' })
      const second = listWith(given(await vault.offer(await question({ node: 1 }))))
      vault = await restart()
      expect(await ask(second, 1)).toMatchObject({ kind: 'unknown', code: 'NoncesUnknown' })
    })

    it('agrees to one transaction for a version of a batch, whatever it is shown later (PO-13)', async () => {
      await start()
      const intent = { kind: 'intent', atMs: 1, batchId: Buffer.from(batchId).toString('hex') }
      const other = { ...intent, version: 0, txid: '11'.repeat(32), paidSat: '1' }
      const vault = await restart([JSON.stringify(other)])
      expect(await vault.offer(await question())).toEqual({
        kind: 'refuse',
        code: 'OtherTransactionSigned',
      })
    })

    it('keeps to its own limit, and signs nothing while it is held', async () => {
      const limited = await start({ dailyLimitSat: 1 })
      expect(await limited.offer(await question())).toMatchObject({
        kind: 'unknown',
        code: 'DailyLimit',
      })
      await under.close()
      const held = await start({ hold: true })
      const hold = { kind: 'unknown', code: 'PolicyHold' }
      expect(await held.offer(await question())).toMatchObject(hold)
      expect(await held.approve({ request, sight: AWAY, keys: [] })).toMatchObject(hold)
      const parts = { node: 0, batchId, version: 0, attempt: 0, offers: [] }
      expect(await held.parts(parts)).toMatchObject(hold)
    })

    it('serves a node’s attempts as they rise (5.5)', async () => {
      const vault = await start()
      const at = async (attempt: number, node = 0) => {
        const asked = await question({ node })
        return await vault.offer({ ...asked, request: { ...asked.request, attempt } })
      }
      expect(await at(3)).toMatchObject({ kind: 'sign' })
      expect(await at(2)).toMatchObject({ kind: 'unknown', code: 'AttemptPassed' })
      expect(await at(4)).toMatchObject({ kind: 'unknown', code: 'AttemptTooSoon' })
      expect(await at(2, 1)).toMatchObject({ kind: 'sign' })
      expect(await at(2, 1024)).toMatchObject({ kind: 'refuse', code: 'NodeUnknown' })
    })

    it('says one package for a session, whenever it is asked (QD-11)', async () => {
      let vault = await start()
      const ceremony = new Ceremony(genesis)
      const over = new HeaderChain(genesis)
      const under = over.commit(ceremony.ledger)
      const reader = {
        head: () => ({ ...over.head, ledger: over.ledger }),
        headers: async () => [],
        subscribe: () => () => {},
      }
      const questionOf = async (epoch: number) => {
        const rows = keygenRowsToSpeak(epoch, ceremony.row)
        const query = { kind: 'ledgerProofRequest', rows, batchId: new Uint8Array(0) } as const
        const proof = await answerQuery(reader, { ...query, version: 0 }, 1)
        if (proof.kind !== 'ledgerProof') throw new Error(proof.kind)
        return { epoch, evidence: { header: under, rows: proof.rows } }
      }
      const asked = await questionOf(EPOCH)
      const said = async () => {
        const verdict = await vault.keygen(asked)
        if (verdict.kind !== 'sign') throw new Error(verdict.code)
        const item = decodeKeygenItem(verdict.value.item ?? new Uint8Array(0))
        if (!item.ok) throw new Error(item.error.reason)
        return { word: verdict.value.word, content: item.value.content }
      }
      const first = await said()
      expect(first.word).toBe('said')
      vault = await restart()
      expect(await said()).toEqual(first)
      const unproven = { ...asked, evidence: { header: under, rows: asked.evidence.rows.slice(1) } }
      expect(await vault.keygen(unproven)).toMatchObject({ kind: 'refuse', code: 'RowUnproven' })
      // No secrets are drawn for a key that nobody makes.
      for (const epoch of [EPOCH - 1, EPOCH + 1, 9_999]) {
        const far = await vault.keygen(await questionOf(epoch))
        expect(far).toMatchObject({ kind: 'refuse', code: 'KeygenNotOpen' })
      }
    })

    it('believes in other validators once those before them announced them, over a restart as well (5.6)', async () => {
      let vault = await start()
      expect((await vault.head()).header.height).toBe(0)
      const over = new HeaderChain(genesis)
      const nextValidators = genesis.validators.slice(0, 3)
      const nextValidatorsHash = hashValidators(nextValidators)
      const announcing = over.certified(world.ledger, { nextValidatorsHash })
      expect(await vault.follow([announcing])).toBe(false)
      expect(await vault.follow([{ ...announcing, nextValidators: genesis.validators }])).toBe(
        false,
      )
      expect(await vault.follow([{ ...announcing, nextValidators }])).toBe(true)
      vault = await restart()
      const head = await vault.head()
      expect(head.header).toEqual(announcing.header)
      expect(head.nextValidators).toEqual(nextValidators)
      // A quorum of those who decide no more.
      over.commit()
      over.commit()
      const late = over.commit(world.ledger)
      const { rows } = (await question()).evidence
      expect(await vault.offer(await question({ evidence: { header: late, rows } }))).toMatchObject(
        {
          kind: 'unknown',
          code: 'ValidatorSetMismatch',
        },
      )
    })

    it('signs nothing when what it believed is older than the trust window, until the named block is shown (5.6)', async () => {
      const slot = Math.floor(nowMs() / 1_000)
      const away = new HeaderChain(awayGenesis)
      away.commit(away.ledger, { slot: slot - 120 })
      const known = away.commit(away.ledger, { slot: slot - 60 }).header
      const { validators: nextValidators } = awayGenesis
      const forged = new HeaderChain(awayGenesis).certified(away.ledger, { slot: slot - 90 })
      const trustedBlock = { height: known.height, hash: blockHash(known) }
      let vault = await start({ isAway: true, trustedBlock })
      expect(await vault.head()).toMatchObject({ isStale: true, trustedBlock })
      const { request: batchRequest, ...shown } = await question()
      const ours = { ...request, genesisHash: awayGenesis.hash }
      const evidence = { header: forged, rows: shown.evidence.rows }
      const offer = { request: { ...batchRequest, genesisHash: awayGenesis.hash }, evidence }
      const sight = await bitcoinOf(bitcoin).sight(awayClaim.proof.blockHash, awayClaim.txid)
      const approval = {
        request: {
          ...ours,
          outpoint: `${toDisplayHash(awayClaim.txid)}:${awayClaim.vout}`,
          claim: PegInClaimType.serialize(awayClaim),
        },
        sight,
        keys: [],
      }
      const parts = { node: 0, batchId, version: 0, attempt: 0, offers: [] }
      const stale = { kind: 'unknown', code: 'TrustStale' }
      expect(await vault.approve(approval)).toMatchObject(stale)
      expect(await vault.offer({ ...shown, ...offer })).toMatchObject(stale)
      expect(await vault.parts(parts)).toMatchObject(stale)
      expect(await vault.keygen({ epoch: EPOCH, evidence })).toMatchObject(stale)
      expect(await vault.follow([forged])).toBe(false)
      const [, , named] = away.blocks as CertifiedHeader[]
      expect(await vault.follow([named as CertifiedHeader])).toBe(false)
      expect((await vault.head()).header.height).toBe(0)
      expect(await vault.follow([{ ...named, nextValidators } as CertifiedHeader])).toBe(true)
      expect(await vault.approve(approval)).toMatchObject({ kind: 'sign' })
      vault = await restart()
      expect(await vault.head()).toMatchObject({ isStale: false, header: known })
      const later = { ...evidence, header: away.commit() }
      const unproven = { kind: 'refuse', code: 'RowUnproven' }
      expect(await vault.offer({ ...shown, ...offer, evidence: later })).toMatchObject(unproven)
    })
  })
}
