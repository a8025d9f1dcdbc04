import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { genesisHeader } from '../../../core/block/index.ts'
import { genesisLedger, ledgerRoot } from '../../../core/ledger/index.ts'
import { toHex } from '../../../crypto/index.ts'
import { readConfig } from '../../../governance/config.ts'
import { AppendedLines } from '../../../governance/files.ts'
import { fileHeadStore } from '../../../governance/head-store.ts'
import { type Journal, type LeavingMark, openJournal } from '../../../governance/journal.ts'
import { limitReached } from '../../../governance/policy.ts'
import { seeded, testGenesis } from '../core/peg/world.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-journal-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const path = () => join(directory, 'journal.jsonl')

async function open(): Promise<Journal> {
  const journal = await openJournal(path())
  if ('code' in journal) throw new Error(journal.code)
  return journal
}

const batchId = seeded('batch')

async function written(): Promise<void> {
  const journal = await open()
  await journal.noteApproval(1, 'aa:0', seeded('claim'), seeded('signature'))
  await journal.noteIntent(2, batchId, 0, seeded('txid'), { leavingSat: 5_000n, paysNobody: false })
  await journal.noteSigned(3, batchId, 0, seeded('txid'))
  await journal.close()
}

describe('the journal of a member', () => {
  it('writes nothing after a line that failed: it may be torn, and a start cuts it off', async () => {
    const text: string[] = []
    let room = 1
    const file = new AppendedLines({
      appendFile: async (line) => {
        text.push(String(line).slice(0, room > 0 ? undefined : 3))
        room -= 1
        if (room < 0) throw new Error('no space left on the disk')
      },
      datasync: async () => {},
      close: async () => {},
    })
    await file.append('first')
    await expect(file.append('second')).rejects.toThrow('no space')
    room = 9
    await expect(file.append('third')).rejects.toThrow('no space')
    await file.close()
    expect(text.join('')).toBe('first\nsec')
  })

  it('remembers after a restart what was signed', async () => {
    await written()
    const journal = await open()
    expect(journal.approval('aa:0', seeded('claim'))).toEqual(seeded('signature'))
    expect(journal.approval('aa:0', seeded('another claim'))).toBeUndefined()
    expect(journal.intent(batchId, 0)).toEqual(seeded('txid'))
    expect(journal.intent(batchId, 1)).toBeUndefined()
    await journal.close()
  })

  it('is cut at a torn tail, at any byte of the last line', async () => {
    await written()
    const whole = readFileSync(path(), 'utf8')
    const lastLine = whole.trimEnd().lastIndexOf('\n') + 1
    for (const length of [lastLine + 1, lastLine + 20, whole.length - 1]) {
      writeFileSync(path(), whole.slice(0, length))
      const journal = await open()
      expect(journal.intent(batchId, 0)).toEqual(seeded('txid'))
      await journal.noteIntent(4, batchId, 1, seeded('another'), {
        leavingSat: 1n,
        paysNobody: false,
      })
      await journal.close()
      const again = await open()
      expect(again.intent(batchId, 1)).toEqual(seeded('another'))
      await again.close()
    }
  })

  it('names the line that is damaged and changes nothing', async () => {
    await written()
    const lines = readFileSync(path(), 'utf8').split('\n')
    lines[1] = '{"kind":"intent"}'
    writeFileSync(path(), lines.join('\n'))
    expect(await openJournal(path())).toEqual({ code: 'JournalDamaged', line: 2 })
    expect(readFileSync(path(), 'utf8')).toBe(lines.join('\n'))
  })

  it('keeps the order of entries that are written at once', async () => {
    const journal = await open()
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        journal.noteIntent(index, seeded(`batch ${index}`), 0, seeded('txid'), {
          leavingSat: 1n,
          paysNobody: false,
        }),
      ),
    )
    await journal.close()
    const times = readFileSync(path(), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).atMs)
    expect(times).toEqual(Array.from({ length: 20 }, (_, index) => index))
  })
})

describe('the daily limit', () => {
  const policy = { dailyLimitSat: 10_000n, dailySweepFeeSat: 0n }
  const day = 86_400_000
  const payments = [
    { batchId: 'old', atMs: 0, leavingSat: 9_000n, paysNobody: false },
    { batchId: 'new', atMs: day, leavingSat: 6_000n, paysNobody: false },
  ]

  const within = (
    limits: Parameters<typeof limitReached>[0],
    name: string,
    leavingSat: bigint,
    nowMs: number,
  ) => {
    const wanted = { batchId: name, leavingSat, paysNobody: false }
    return limitReached(limits, payments, wanted, nowMs) !== 'DailyLimit'
  }

  it('counts what was begun within 24 hours', () => {
    expect(within(policy, 'next', 4_000n, day + 1)).toBe(true)
    expect(within(policy, 'next', 4_001n, day + 1)).toBe(false)
    expect(within(policy, 'next', 1_001n, day - 1)).toBe(false)
  })

  it('counts a batch once, by the version that takes most (PO-11)', async () => {
    expect(within(policy, 'new', 6_000n, day + 1)).toBe(true)
    expect(within(policy, 'new', 10_000n, day + 1)).toBe(true)
    expect(within(policy, 'new', 10_001n, day + 1)).toBe(false)
    expect(within(policy, 'new', 1_001n, day - 1)).toBe(true)
    expect(within(policy, 'new', 6_001n, day - 1)).toBe(false)
    const journal = await open()
    for (const [version, leavingSat] of [5n, 900n, 40n].entries()) {
      await journal.noteIntent(version, batchId, version, seeded('txid'), {
        leavingSat,
        paysNobody: true,
      })
    }
    await journal.close()
    const again = await open()
    expect(again.leaving()).toEqual([
      { batchId: toHex(batchId), atMs: 1, leavingSat: 900n, paysNobody: true },
    ])
    await again.close()
  })

  it('is none unless the operator sets one', () => {
    const free = { dailySweepFeeSat: 0n }
    expect(within(free, 'next', 10n ** 15n, day)).toBe(true)
  })
})

describe('the limit of what sweeps may take in fees (PO-21)', () => {
  const day = 86_400_000
  const policy = { dailySweepFeeSat: 10_000n }
  const marks = [
    { batchId: 'payout', atMs: day, leavingSat: 500_000n, paysNobody: false },
    { batchId: 'old sweep', atMs: 0, leavingSat: 9_000n, paysNobody: true },
    { batchId: 'sweep', atMs: day, leavingSat: 6_000n, paysNobody: true },
  ]
  const reached = (batchId: string, leavingSat: bigint, nowMs = day + 1) =>
    limitReached(policy, marks, { batchId, leavingSat, paysNobody: true }, nowMs)

  it('counts sweeps that were begun within 24 hours, and no payouts', () => {
    expect(reached('next', 4_000n)).toBeUndefined()
    expect(reached('next', 4_001n)).toBe('SweepFeeLimit')
    expect(reached('next', 1_001n, day - 1)).toBe('SweepFeeLimit')
    expect(reached('sweep', 10_000n)).toBeUndefined()
    expect(reached('sweep', 10_001n)).toBe('SweepFeeLimit')
    const paying = { batchId: 'next', leavingSat: 10n ** 12n, paysNobody: false }
    expect(limitReached(policy, marks, paying, day + 1)).toBeUndefined()
  })

  it('stands without the operator: 1,000,000 sat, and never stops the first sweep of a day (PO-22)', () => {
    const file = {
      genesisFile: 'genesis.json',
      dataDir: 'data',
      keyFile: 'keys.json',
      passwordFile: 'password',
      bitcoinUrl: 'http://user:password@127.0.0.1:18443',
      tls: { privateKeyFile: 'key', certificateFile: 'certificate', authorityFile: 'authority' },
      nodes: [{ name: 'one', endpoint: '127.0.0.1:9000' }],
    }
    writeFileSync(join(directory, 'member.json'), JSON.stringify(file))
    const read = readConfig(['--config', join(directory, 'member.json')])
    expect(read).toMatchObject({ policy: { hold: false } })
    expect(read).not.toHaveProperty('policy.dailySweepFeeSat')
    // 10,000 vB, the most that a batch has, at 150 sat/vB, and its bump.
    const first = { batchId: 'first', atMs: day, leavingSat: 1_500_000n, paysNobody: true }
    const without = (
      known: readonly LeavingMark[],
      batchId: string,
      leavingSat: bigint,
      nowMs = day,
    ) => limitReached({}, known, { batchId, leavingSat, paysNobody: true }, nowMs)
    expect(without([], 'first', 1_500_000n)).toBeUndefined()
    expect(without([first], 'first', 3_000_000n)).toBeUndefined()
    expect(without([first], 'second', 1n)).toBe('SweepFeeLimit')
    expect(without([first], 'second', 1_500_000n, 2 * day)).toBeUndefined()
    const small = { ...first, leavingSat: 400_000n }
    expect(without([small], 'second', 600_000n)).toBeUndefined()
    expect(without([small], 'second', 600_001n)).toBe('SweepFeeLimit')
  })
})

describe('the state file of the light client', () => {
  const genesis = testGenesis()
  const header = { ...genesisHeader(genesis, ledgerRoot(genesisLedger(genesis))), height: 41 }
  const { validators: nextValidators } = genesis
  const file = () => join(directory, 'head.json')

  it('gives back the header that was saved last', async () => {
    const store = fileHeadStore(file(), genesis)
    expect(await store.load()).toBeUndefined()
    await store.save({ header: { ...header, height: 40 }, nextValidators })
    await store.save({ header, nextValidators })
    expect(await fileHeadStore(file(), genesis).load()).toEqual({ header, nextValidators })
  })

  it('refuses the file of another chain and one that is damaged', async () => {
    await fileHeadStore(file(), genesis).save({ header, nextValidators })
    const other = testGenesis({ slotMs: 2000 })
    await expect(fileHeadStore(file(), other).load()).rejects.toThrow('of another chain')
    appendFileSync(file(), 'x')
    await expect(fileHeadStore(file(), genesis).load()).rejects.toThrow('not JSON')
  })
})
