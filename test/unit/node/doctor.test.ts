/** `doctor --verify-state` on files: whose chain lies on the disk (P 5.6, PR-1). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  blockHash,
  type CommittedBlock,
  encodeCertified,
  encodeCommittedBlock,
} from '../../../core/block/index.ts'
import { heightKey, LedgerDraft, ledgerChanges, ledgerRoot } from '../../../core/ledger/index.ts'
import type { Validator } from '../../../core/params/index.ts'
import { validatorsRowAt } from '../../../core/validators/index.ts'
import type { BlsKeyPair } from '../../../crypto/index.ts'
import { openChainStore } from '../../../node/adapters/chain-store/index.ts'
import { verifyData } from '../../../node/doctor/index.ts'
import { certify, joiningKeys, Town } from '../core/chain/town.ts'
import { adding, approved } from '../core/validators/changes.ts'

const PRUNED = 5
let town: Town
let rows: ReturnType<typeof ledgerChanges>
let dataDir: string

/** Seven blocks; the third announces a fifth validator. */
beforeAll(async () => {
  town = await Town.open()
  const [joining] = joiningKeys as [BlsKeyPair]
  rows = []
  for (let height = 1; height <= 7; height++) {
    const changes = [approved(town.genesis, adding(town.head.ledger, joining))]
    await town.grow({ validatorChanges: height === 2 ? changes : [] })
    rows.push(...ledgerChanges(town.head.ledger))
  }
})

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-doctor-'))
})

afterEach(() => {
  rmSync(dataDir, { recursive: true })
})

/** Writes blocks and rows as a node does, the lower blocks pruned to their headers. */
async function write(blocks: readonly CommittedBlock[], ledgerRows: typeof rows): Promise<void> {
  const store = await openChainStore(join(dataDir, 'chain'))
  const hashOf = ({ block }: CommittedBlock) => blockHash(block.header)
  const heightOf = ({ block }: CommittedBlock) => block.header.height
  const stored = blocks.map((committed) => ({
    height: heightOf(committed),
    hash: hashOf(committed),
    bytes: encodeCommittedBlock(committed),
  }))
  await store.writeBlocks(stored, ledgerRows)
  const headers = blocks.slice(0, PRUNED).map((committed) => ({
    height: heightOf(committed),
    hash: hashOf(committed),
    bytes: encodeCertified(committed.block.header, committed.certificate),
  }))
  await store.pruneBlocks(headers)
  await store.close()
}

async function checkOf(name: string) {
  const checks = await verifyData(dataDir, town.genesis)
  return checks.find((check) => check.name === name)
}

it('a pruned chain is followed from the genesis file by the headers that are kept', async () => {
  await write(town.chain, rows)
  expect((await checkOf('ledger'))?.ok).toBe(true)
  expect(await checkOf('validators')).toMatchObject({
    ok: true,
    detail: 'followed from the genesis file, they signed block 7',
  })
})

it('a disk that brings its own validators is named as one, and no repair is advised', async () => {
  const strangers: readonly Validator[] = joiningKeys.map(({ publicKey }) => ({
    blsKey: publicKey,
    power: 1,
    address: new Uint8Array(20),
  }))
  const draft = new LedgerDraft(town.head.ledger)
  const { row } = validatorsRowAt(town.head.ledger, 7)
  draft.put('validators', heightKey(4), { ...row, validators: [...strangers] })
  const ledger = draft.finish()
  const top = town.chain.at(-1) as CommittedBlock
  const header = { ...top.block.header, ledgerRoot: ledgerRoot(ledger) }
  const options = { validators: strangers }
  const certificate = certify(town.genesis, 7, blockHash(header), [0, 1, 2], options)
  const forged = { block: { ...top.block, header }, certificate }
  await write([...town.chain.slice(0, -1), forged], [...rows, ...ledgerChanges(ledger)])
  expect((await checkOf('ledger'))?.ok).toBe(true)
  expect(await checkOf('validators')).toMatchObject({
    ok: false,
    detail: 'block 3 was not decided by the validators of this chain: ValidatorSetUnknown',
    advice: expect.stringMatching('restore a backup'),
    exitCode: 4,
  })
})

it('a block whose body was changed, with a good checksum, is found', async () => {
  const [sixth, top] = town.chain.slice(-2) as [CommittedBlock, CommittedBlock]
  const { block } = sixth
  const body = { ...block.body, evidence: [], payload: top.block.body.payload }
  const changed = { ...sixth, block: { ...block, body } }
  await write([...town.chain.slice(0, PRUNED), changed, top], rows)
  expect(await checkOf('blocks')).toMatchObject({
    ok: false,
    detail: 'block 6 has another body than its header names',
  })
})
