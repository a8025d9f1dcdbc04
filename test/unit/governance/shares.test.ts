import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beginDkg, groupKeyFrom, toHex } from '../../../crypto/index.ts'
import type { HeldShare, SessionSecret } from '../../../governance/keygen-part.ts'
import { fileShareStore, shareFileName, shareFiles } from '../../../governance/shares.ts'
import { randomOf } from '../core/keygen/ceremony.ts'
import { seeded } from '../core/peg/world.ts'

const CHEAP = { n: 2, r: 1, p: 1 }
const begun = beginDkg({ id: seeded('id'), threshold: 3, signers: [1, 2, 3, 4] }, 2, randomOf('x'))
const session: SessionSecret = { epoch: 1, sessionId: seeded('id'), ...begun }
const held: HeldShare = {
  epoch: 1,
  sessionId: seeded('id'),
  commitments: groupKeyFrom(begun.told.commitments, []).commitments,
  signers: [1, 2, 4],
  share: { signer: 2, secret: seeded('share') },
}

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-shares-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (password = 'secret') =>
  fileShareStore({ directory, password, random: randomOf(password), cost: CHEAP })
const written = () =>
  readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'))

describe('what a member keeps of the federation’s keys', () => {
  it('a session’s secret and a share are what they were, in another process too (QD-11)', async () => {
    const store = await open()
    await store.saveSession(session)
    await store.saveShare(held)
    const again = await open()
    expect(await again.session(session.sessionId)).toEqual(session)
    expect(await again.share(held.sessionId)).toEqual(held)
    expect(await again.sessionCount()).toBe(1)
    expect(await again.share(seeded('other'))).toBeUndefined()
    expect(await again.session(seeded('other'))).toBeUndefined()
  })

  it('stands on disk encrypted only, and opens to its password alone', async () => {
    const store = await open()
    await store.saveSession(session)
    await store.saveShare(held)
    const text = written().join()
    const secrets = [held.share.secret, session.secret.decryptionKey].map(toHex)
    for (const secret of [...secrets, session.secret.coefficients[0]?.toString(16) ?? 'none']) {
      expect(text).not.toContain(secret)
    }
    const stranger = await open('another')
    await expect(stranger.share(held.sessionId)).rejects.toThrow('KeyFileLocked')
    await expect(stranger.session(session.sessionId)).rejects.toThrow('KeyFileLocked')
  })

  it('a later session of the same epoch leaves the share of an earlier one where it is', async () => {
    const store = await open()
    await store.saveShare(held)
    const later = { ...held, sessionId: seeded('later'), share: { signer: 2, secret: seeded('s') } }
    await store.saveShare(later)
    const again = await open()
    expect(await again.share(held.sessionId)).toEqual(held)
    expect(await again.share(later.sessionId)).toEqual(later)
    const names = [held, later].map(({ sessionId }) => shareFileName(sessionId))
    expect(await shareFiles(directory)).toEqual(names.sort())
  })

  it('a share that left the disk under a running process is remembered, and known to be missing', async () => {
    const store = await open()
    await store.saveShare(held)
    rmSync(join(directory, shareFileName(held.sessionId)))
    expect(await store.share(held.sessionId)).toEqual(held)
    expect(await store.shareOnDisk(held.sessionId)).toBeUndefined()
  })

  it('once the key is made its sessions go and its share stays', async () => {
    const store = await open()
    await store.saveSession(session)
    await store.saveShare(held)
    await store.forgetSessions(session.epoch)
    expect(readdirSync(directory)).toEqual([shareFileName(held.sessionId)])
    expect(await store.session(session.sessionId)).toBeUndefined()
    expect(await (await open()).share(held.sessionId)).toEqual(held)
  })

  it('a key that is made takes nothing from the making of a later one, nor what cannot be read (QD-11)', async () => {
    const store = await open()
    const next = { ...session, epoch: session.epoch + 1, sessionId: seeded('next') }
    await store.saveSession(session)
    await store.saveSession(next)
    const damaged = join(directory, `session-${toHex(seeded('damaged'))}.json`)
    writeFileSync(damaged, '{"publicKeys":')
    await store.forgetSessions(session.epoch)
    expect(readdirSync(directory)).toHaveLength(2)
    for (const one of [store, await open()]) {
      expect(await one.session(session.sessionId)).toBeUndefined()
      expect(await one.session(next.sessionId)).toEqual(next)
    }
    rmSync(damaged)
  })
})
