/**
 * The commands by which a member gets its lost share back from t others: ask, help, sum, take. By files and by hand on purpose: no
 * message of the network can make a member give away a part of its share, and each helper's operator sees who asks.
 */
import { join } from 'node:path'
import {
  askFault,
  askForRepair,
  type EpochKey,
  helpToRepair,
  type RepairAsk,
  type RepairFault,
  type RepairFile,
  type RepairMember,
  type RepairPart,
  type RepairSum,
  readRepairFile,
  repairJson,
  sumRepair,
  takeRepaired,
} from '../../bridge/index.ts'
import type { Genesis, Result } from '../../core/params/index.ts'
import { toHex } from '../../crypto/index.ts'
import { lockDirectory } from '../../node/adapters/data-directory/index.ts'
import { EXIT } from '../../node/adapters/system/index.ts'
import { openMemberKeys } from '../keys.ts'
import { fileShareStore, shareFileName } from '../shares.ts'
import {
  Refusal,
  random,
  readGenesis,
  readJson,
  readPassword,
  usage,
  wanted,
  writeNew,
} from './files.ts'
import type { RecoverOptions } from './options.ts'
import { readReserve } from './reserve.ts'
import { confirmed, type Told, whole } from './spend.ts'

interface Opened {
  readonly genesis: Genesis
  readonly member: RepairMember
  readonly password: string
}

/** The genesis file and one member's own keys. */
async function open(options: RecoverOptions): Promise<Opened> {
  const genesis = await readGenesis(options.genesis)
  const password = await readPassword(options['password-file'])
  const path = wanted('keys', options.keys)
  const opened = openMemberKeys(genesis, await readJson(path), password)
  if (!opened.ok)
    throw new Refusal(opened.error.code, `${path}: no member’s keys`, EXIT.configuration)
  const { keys, memberIndex } = opened
  return { genesis, member: { index: memberIndex, secretKey: keys.schnorrSecret }, password }
}

export async function ask(options: RecoverOptions): Promise<Told> {
  const { genesis, member } = await open(options)
  const { keys } = await readReserve(genesis, wanted('rows', options.rows))
  const last = Math.max(0, ...keys.map((one) => one.epoch))
  const epoch = whole('epoch', options.epoch ?? String(last))
  const key = keys.find((one) => one.epoch === epoch)
  if (key === undefined) throw usage(`--epoch: the members made no key of epoch ${epoch}`)
  const helpers = (options.helper ?? []).map((text) => whole('helper', text))
  const asked = must(askForRepair(genesis, member, key, helpers, random))
  const out = wanted('out', options.out)
  await writeFile(out, asked)
  const others = possibleHelpers(key, member.index).join(', ')
  return {
    text: `${out}: member ${member.index} asks members ${asked.helpers.join(', ')} for its share of the key of epoch ${epoch}\nof ${others}, who have shares; each of them: millrace recover share help\n`,
    figures: { path: out, epoch, lost: member.index, helpers: asked.helpers },
  }
}

function possibleHelpers({ signers }: EpochKey, lost: number): number[] {
  return signers.map((signer) => signer - 1).filter((member) => member !== lost)
}

export async function help(options: RecoverOptions): Promise<Told> {
  const { genesis, member, password } = await open(options)
  const asked = await readAsk(genesis, options)
  const what = `member ${asked.lost} lost its share of the key of epoch ${asked.epoch} and asks for it\nhelpers: members ${asked.helpers.join(', ')}\nask that member by another way whether it did; whoever has its key file gets its share\n`
  await confirmed(options, what, 'Help?')
  const directory = join(wanted('data-dir', options['data-dir']), 'shares')
  const store = await fileShareStore({ directory, password, random })
  const held = await store.share(asked.sessionId)
  if (held === undefined) {
    const message = `${directory} has no ${shareFileName(asked.sessionId)}`
    throw new Refusal('ShareMissing', message, EXIT.data)
  }
  const part = must(helpToRepair(genesis, member, asked, held, random))
  const out = wanted('out', options.out)
  await writeFile(out, part)
  return {
    text: `${out}: the part of member ${member.index}; every helper needs the parts of all: millrace recover share sum\n`,
    figures: { path: out, member: member.index, lost: asked.lost },
  }
}

export async function sum(options: RecoverOptions): Promise<Told> {
  const { genesis, member } = await open(options)
  const asked = await readAsk(genesis, options)
  const { parts } = await readGiven(options)
  const summed = must(sumRepair(genesis, member, asked, parts, random))
  const out = wanted('out', options.out)
  await writeFile(out, summed)
  return {
    text: `${out}: the sum of member ${member.index}, for member ${asked.lost}: millrace recover share take\n`,
    figures: { path: out, member: member.index, lost: asked.lost },
  }
}

export async function take(options: RecoverOptions): Promise<Told> {
  const { genesis, member, password } = await open(options)
  const asked = await readAsk(genesis, options)
  const { parts, sums } = await readGiven(options)
  const dataDir = wanted('data-dir', options['data-dir'])
  const share = must(takeRepaired(genesis, member, asked, parts, sums))
  const lock = lockDirectory(dataDir)
  if (!lock.ok) {
    const message = `${dataDir} is in use by process ${lock.pid}: stop the member first`
    throw new Refusal('DataDirInUse', message, EXIT.data)
  }
  try {
    const { commitments, epoch, sessionId } = asked
    const directory = join(dataDir, 'shares')
    const store = await fileShareStore({ directory, password, random })
    const name = shareFileName(sessionId)
    const signers = await signersOf(genesis, options, asked)
    await store.saveShare({ epoch, sessionId, commitments, signers, share })
    const held = await store.shareOnDisk(sessionId)
    if (held === undefined || toHex(held.share.secret) !== toHex(share.secret)) {
      throw new Refusal('ShareNotStored', `${directory}/${name} is not what was written`, EXIT.data)
    }
    return {
      text: `${join(directory, name)}: member ${member.index} holds its share of the key of epoch ${epoch} again\n`,
      figures: { path: join(directory, name), member: member.index, epoch },
    }
  } finally {
    lock.release()
  }
}

/** Of the key, as the rows have it. */
async function signersOf(
  genesis: Genesis,
  options: RecoverOptions,
  { epoch, sessionId }: RepairAsk,
): Promise<readonly number[]> {
  const { keys } = await readReserve(genesis, wanted('rows', options.rows))
  const key = keys.find((one) => one.epoch === epoch && toHex(one.sessionId) === toHex(sessionId))
  if (key === undefined) throw usage('--rows: they have another key of this epoch')
  return key.signers
}

async function readAsk(genesis: Genesis, options: RecoverOptions): Promise<RepairAsk> {
  const path = wanted('ask', options.ask)
  const file = must(readRepairFile(await readJson(path)), path)
  if (file.kind !== 'ask') throw usage(`--ask: ${path} is a ${file.kind}`)
  const fault = askFault(genesis, file)
  if (fault !== undefined) throw refusalOf(fault, path)
  return file
}

/** Parts and sums in any order, as they came. */
async function readGiven(
  options: RecoverOptions,
): Promise<{ readonly parts: RepairPart[]; readonly sums: RepairSum[] }> {
  const parts: RepairPart[] = []
  const sums: RepairSum[] = []
  for (const path of options.from ?? []) {
    const file = must(readRepairFile(await readJson(path)), path)
    if (file.kind === 'part') parts.push(file)
    else if (file.kind === 'sum') sums.push(file)
    else throw usage(`--from: ${path} is the ask itself`)
  }
  return { parts, sums }
}

function writeFile(path: string, file: RepairFile): Promise<void> {
  return writeNew(path, `${JSON.stringify(repairJson(file), undefined, 1)}\n`)
}

function must<T>(result: Result<T, RepairFault>, path?: string): T {
  if (result.ok) return result.value
  throw refusalOf(result.error, path)
}

const FAULTS: Readonly<Record<RepairFault['code'], string>> = {
  RepairFileMalformed: 'no file of a repair',
  RepairAskWrong: 'this cannot be asked for',
  RepairNotSigned: 'not signed by the member that it names',
  RepairOfAnotherAsk: 'made for another ask',
  NotAHelper: 'the ask does not name this member as a helper',
  ShareOfAnotherKey: 'the share on this disk is not of the key that is asked about',
  PartsMissing: 'parts of these members are missing (--from)',
  SumsMissing: 'sums of these members are missing (--from)',
  WrongPart: 'this member gave a wrong part',
  WrongSum: 'this member gave a wrong sum',
  OtherParts: 'this member added up other parts than these: one helper made its part twice',
}

function refusalOf({ code, ...fields }: RepairFault, path?: string): Refusal {
  const said = Object.entries(fields).map(([name, value]) => `${name} ${value}`)
  const details = said.length === 0 ? '' : ` (${said.join(', ')})`
  const before = path === undefined ? '' : `${path}: `
  return new Refusal(code, `${before}${FAULTS[code]}${details}`, EXIT.data)
}
