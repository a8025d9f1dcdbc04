/** Four members with four data directories make a key; their directories are then searched for what they must not hold (protocol §5.1). */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dkgSession, encodeKeygenContent, signKeygenItem } from '../../../core/keygen/index.ts'
import { rowOf } from '../../../core/ledger/index.ts'
import {
  beginDkg,
  bigintToBytes,
  equalBytes,
  groupKeyFrom,
  isShareOf,
  openKeyFile,
  toHex,
} from '../../../crypto/index.ts'
import {
  confirmation,
  decideKeygen,
  type KeygenSight,
  rowsOfStage,
  type SessionSecret,
} from '../../../governance/keygen-part.ts'
import { fileShareStore, type ShareStore, shareFileName } from '../../../governance/shares.ts'
import { AUXILIARY, Ceremony, EPOCH, randomOf } from '../core/keygen/ceremony.ts'
import { seeded, testGenesis } from '../core/peg/world.ts'

const genesis = testGenesis()
const SIGNERS = [1, 2, 3, 4]

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-members-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const directoryOf = (signer: number) => join(root, `member-${signer}`)
const passwordOf = (signer: number) => `password of ${signer}`

function sightOf({ ledger, row }: Ceremony): KeygenSight {
  const items = rowsOfStage(row).flatMap((key) => {
    const item = rowOf(ledger, 'keygenItems', key)
    return item === undefined ? [] : [[toHex(key), item] as const]
  })
  return { epoch: EPOCH, row, items: new Map(items) }
}

/** What a member says in the stage that runs, after it stored what it must. */
async function speak(ceremony: Ceremony, signer: number, store: ShareStore) {
  const sight = sightOf(ceremony)
  const { row } = sight
  const decide = async () => {
    const stored = await store.session(row.sessionId)
    return decideKeygen(genesis, signer, sight, stored, AUXILIARY)
  }
  let task = await decide()
  if (task.kind === 'begin') {
    const begun = beginDkg(dkgSession(genesis, row), signer, randomOf(`member ${signer}`))
    await store.saveSession({ epoch: EPOCH, sessionId: row.sessionId, ...begun })
    task = await decide()
  }
  if (task.kind === 'confirm') await store.saveShare(task.held)
  if (task.kind !== 'say' && task.kind !== 'confirm') throw new Error(task.kind)
  const statement =
    task.kind === 'say' ? task.statement : confirmation(genesis, sight, task.held, AUXILIARY)
  return signKeygenItem(genesis, statement, seeded(`schnorr ${signer - 1}`), AUXILIARY)
}

/** All that a member's files hold for whoever has its password, and as they stand on the disk. */
function holdings(signer: number): Uint8Array[] {
  const files = readdirSync(directoryOf(signer)).map((name) =>
    readFileSync(join(directoryOf(signer), name)),
  )
  const opened = files.flatMap((bytes) => {
    const secrets = openKeyFile(JSON.parse(bytes.toString()), passwordOf(signer))
    return secrets.ok ? Object.values(secrets.value) : []
  })
  return [...files, ...opened]
}

function holds(signer: number, secret: Uint8Array): boolean {
  return holdings(signer).some((bytes) => {
    const buffer = Buffer.from(bytes)
    return buffer.includes(Buffer.from(secret)) || buffer.includes(toHex(secret))
  })
}

it('each of four members holds its share, and no directory holds another’s, at any stage (QD-8, PO-12)', async () => {
  const stores = new Map<number, ShareStore>()
  for (const signer of SIGNERS) {
    mkdirSync(directoryOf(signer))
    const random = randomOf(`file ${signer}`)
    const options = { directory: directoryOf(signer), password: passwordOf(signer), random }
    stores.set(signer, await fileShareStore({ ...options, cost: { n: 2, r: 1, p: 1 } }))
  }
  const storeOf = (signer: number) => stores.get(signer) as ShareStore
  const ceremony = new Ceremony(genesis)
  const { sessionId } = ceremony.row
  for (let stage = 0; stage < 3; stage++) {
    const items = []
    for (const signer of SIGNERS) items.push(await speak(ceremony, signer, storeOf(signer)))
    expect(ceremony.block(items)).toBeUndefined()
  }
  expect(ceremony.ledger.state.epoch).toBe(EPOCH)
  const group = groupKeyFrom(ceremony.key?.commitments ?? [], SIGNERS)
  for (const signer of SIGNERS) {
    const held = await storeOf(signer).share(sessionId)
    if (held === undefined) throw new Error(`member ${signer} has no share`)
    expect(isShareOf(group, held.share)).toBe(true)
    const own = (await storeOf(signer).session(sessionId)) as SessionSecret
    const polynomial = own.secret.coefficients.map((one) => bigintToBytes(one, 32))
    for (const other of SIGNERS) {
      expect(holds(other, held.share.secret)).toBe(other === signer)
      for (const secret of [own.secret.decryptionKey, ...polynomial]) {
        expect(holds(other, secret)).toBe(other === signer)
      }
    }
  }
  for (const signer of SIGNERS) await storeOf(signer).forgetSessions(EPOCH)
  expect(SIGNERS.map((signer) => readdirSync(directoryOf(signer)))).toEqual(
    SIGNERS.map(() => [shareFileName(sessionId)]),
  )
})

it('a package that is told again is the one on the disk, byte for byte (QD-11)', async () => {
  const directory = join(root, 'again')
  const open = () => {
    const random = randomOf('again')
    return fileShareStore({ directory, password: 'x', random, cost: { n: 2, r: 1, p: 1 } })
  }
  const ceremony = new Ceremony(genesis)
  const first = await speak(ceremony, 1, await open())
  const again = await speak(ceremony, 1, await open())
  expect(equalBytes(first.content, again.content)).toBe(true)
  const stored = await (await open()).session(ceremony.row.sessionId)
  expect(stored && encodeKeygenContent('package', stored.told)).toEqual(first.content)
})
