/** `millrace recover share …` as the operators of four members use it, each with a directory of its own (N6). */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { reserveJson } from '../../../bridge/index.ts'
import { openKeyFile, sealKeyFile, toHex } from '../../../crypto/index.ts'
import { examineMember } from '../../../governance/doctor.ts'
import { type MemberConfig, parseConfig } from '../../../governance/index.ts'
import type { HeldShare } from '../../../governance/keygen-part.ts'
import { main } from '../../../governance/recover/index.ts'
import { fileShareStore, shareFileName } from '../../../governance/shares.ts'
import { Ceremony, EPOCH, randomOf } from '../core/keygen/ceremony.ts'
import { memberKeys, seeded, testGenesis } from '../core/peg/world.ts'

const CHEAP = { n: 2, r: 1, p: 1 }
const genesis = testGenesis()
const ceremony = new Ceremony(genesis)
ceremony.toConfirmations()
const shares = [1, 2, 3, 4].map((signer) => ceremony.keyShare(signer))
ceremony.all((signer) => ceremony.confirmation(signer))
const { sessionId, commitments, signers } = ceremony.key as NonNullable<typeof ceremony.key>
const LOST = 2
const HELPERS = [0, 1, 3]

let root: string
const at = (name: string) => join(root, name)
const own = (member: number) => at(`member-${member}`)
const passwordOf = (member: number) => `password of member ${member}`

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'millrace-share-'))
  writeFileSync(at('genesis.json'), JSON.stringify(genesis.file))
  writeFileSync(at('rows.json'), JSON.stringify(reserveJson(genesis.hash, ceremony.ledger)))
  for (const [member, { secretKey }] of memberKeys.entries()) {
    mkdirSync(own(member))
    const random = randomOf(`keys ${member}`)
    const password = passwordOf(member)
    const secrets = { bls: secretKey, schnorr: seeded(`schnorr ${member}`) }
    const sealed = { label: 'm', publicKeys: {}, secrets, password, random, cost: CHEAP }
    writeFileSync(join(own(member), 'keys.json'), JSON.stringify(sealKeyFile(sealed)))
    writeFileSync(join(own(member), 'password'), `${password}\n`)
    mkdirSync(join(own(member), 'data'))
    if (member === LOST) continue
    const directory = join(own(member), 'data', 'shares')
    const store = await fileShareStore({ directory, password, random, cost: CHEAP })
    const share = shares[member] as (typeof shares)[number]
    await store.saveShare({ epoch: EPOCH, sessionId, commitments, signers, share })
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function share(command: string, member: number, ...more: readonly string[]) {
  let said = ''
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += String(text)
    return true
  })
  try {
    const code = await main([
      ...['share', command, '--genesis', at('genesis.json'), '--json'],
      ...['--keys', join(own(member), 'keys.json')],
      ...['--password-file', join(own(member), 'password'), ...more],
    ])
    return { code, figures: JSON.parse(said) as Record<string, unknown> }
  } finally {
    spy.mockRestore()
  }
}

function configOf(member: number, dataDir: string): MemberConfig {
  const config = parseConfig(
    {
      genesisFile: at('genesis.json'),
      dataDir,
      keyFile: 'keys.json',
      passwordFile: 'password',
      bitcoinUrl: 'http://127.0.0.1:1',
      tls: { authorityFile: 'a', certificateFile: 'c', privateKeyFile: 'p' },
      nodes: [{ name: 'node-0', endpoint: '127.0.0.1:1' }],
    },
    own(member),
  )
  if ('code' in config) throw new Error(config.message)
  return config
}

const dataOf = (member: number) => ['--data-dir', join(own(member), 'data')]
const from = (names: readonly string[]) => names.flatMap((name) => ['--from', at(name)])
const parts = HELPERS.map((helper) => `part-${helper}.json`)
const sums = HELPERS.map((helper) => `sum-${helper}.json`)

describe('a member gets its share back from three others (N6)', () => {
  it('ask, help, sum, take: each in a process of its own could do it, with one member’s files', async () => {
    const rows = ['--rows', at('rows.json')]
    const helpers = HELPERS.flatMap((helper) => ['--helper', String(helper)])
    const asked = await share('ask', LOST, ...rows, ...helpers, '--out', at('ask.json'))
    expect(asked).toMatchObject({
      code: 0,
      figures: { epoch: EPOCH, lost: LOST, helpers: HELPERS },
    })
    const ask = ['--ask', at('ask.json')]
    for (const [index, helper] of HELPERS.entries()) {
      const out = ['--out', at(parts[index] as string)]
      const unseen = await share('help', helper, ...ask, ...dataOf(helper), ...out)
      // Nobody gives away a part of its share without somebody who looked.
      expect(unseen).toMatchObject({ code: 2, figures: { error: { code: 'Usage' } } })
      expect((await share('help', helper, ...ask, ...dataOf(helper), ...out, '--yes')).code).toBe(0)
    }
    for (const [index, helper] of HELPERS.entries()) {
      const out = ['--out', at(sums[index] as string)]
      expect((await share('sum', helper, ...ask, ...from(parts), ...out)).code).toBe(0)
    }
    const given = [...ask, ...rows, ...from([...parts, ...sums])]
    const taken = await share('take', LOST, ...given, ...dataOf(LOST))
    expect(taken).toMatchObject({ code: 0, figures: { member: LOST, epoch: EPOCH } })
    const directory = join(own(LOST), 'data', 'shares')
    const store = await fileShareStore({
      directory,
      password: passwordOf(LOST),
      random: randomOf('again'),
      cost: CHEAP,
    })
    const held = { epoch: EPOCH, sessionId, commitments, signers, share: shares[LOST] }
    expect(await store.share(sessionId)).toEqual(held)
    // So that the tests below open it quickly.
    await store.saveShare(held as HeldShare)
  })

  it('what lies about is no share, and the share is on disk under its owner’s password only', () => {
    const texts = readdirSync(root).flatMap((name) =>
      name.endsWith('.json') ? [readFileSync(at(name), 'utf8')] : [],
    )
    const file = readFileSync(join(own(LOST), 'data', 'shares', shareFileName(sessionId)), 'utf8')
    for (const { secret } of shares) expect(texts.join() + file).not.toContain(toHex(secret))
    expect(openKeyFile(JSON.parse(file), passwordOf(0)).ok).toBe(false)
    expect(openKeyFile(JSON.parse(file), passwordOf(LOST)).ok).toBe(true)
  })

  it('millrace doctor says which shares a member lacks, by the keys that a node tells', async () => {
    const node = createServer((_, response) => {
      const result = JSON.parse(readFileSync(at('rows.json'), 'utf8')) as unknown
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }))
    })
    await new Promise<void>((done) => node.listen(0, '127.0.0.1', done))
    const url = `http://127.0.0.1:${(node.address() as AddressInfo).port}`
    try {
      const sharesOf = async (dataDir: string, of?: string) => {
        const checks = await examineMember(configOf(LOST, dataDir), of)
        return checks.filter(({ name }) => name.startsWith('share'))
      }
      const repaired = await sharesOf('data', url)
      expect(repaired).toEqual([
        { name: 'share', ok: true, detail: 'of the key of epoch 1', exitCode: 0 },
      ])
      expect(await sharesOf('data')).toMatchObject([{ ok: true, name: 'shares' }])
      expect(await sharesOf('empty', url)).toMatchObject([{ ok: false, exitCode: 4 }])
      mkdirSync(join(own(LOST), 'damaged', 'shares'), { recursive: true })
      const file = join(own(LOST), 'damaged', 'shares', shareFileName(sessionId))
      writeFileSync(file, JSON.stringify({ version: 1 }))
      expect(await sharesOf('damaged')).toMatchObject([{ ok: false, name: 'share' }, { ok: true }])
    } finally {
      await new Promise((done) => node.close(done))
    }
  })

  it('says who is missing, whose files these are not, and that a member has no share', async () => {
    const ask = ['--ask', at('ask.json')]
    const few = await share('sum', 0, ...ask, ...from(parts.slice(1)), '--out', at('x.json'))
    expect(few).toMatchObject({ code: 4, figures: { error: { code: 'PartsMissing' } } })
    expect(JSON.stringify(few.figures)).toContain('members 0')
    const given = [...ask, '--rows', at('rows.json'), ...from([...parts, ...sums])]
    const other = await share('take', 1, ...given, ...dataOf(1))
    expect(other).toMatchObject({ code: 4, figures: { error: { code: 'RepairAskWrong' } } })
    rmSync(join(own(3), 'data', 'shares'), { recursive: true })
    const none = await share('help', 3, ...ask, ...dataOf(3), '--out', at('y.json'), '--yes')
    expect(none).toMatchObject({ code: 4, figures: { error: { code: 'ShareMissing' } } })
  })
})
