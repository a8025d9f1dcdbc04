/** The sources as the arch tests see them: comments and texts blanked out, imports listed. A small scanner, no parser. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Import {
  /** As written. */
  readonly specifier: string
  /** Path in the repository of a relative one. */
  readonly target: string | undefined
  readonly line: number
  /** Gone when types are stripped. */
  readonly isTypeOnly: boolean
}

export interface SourceFile {
  /** In the repository, with slashes. */
  readonly path: string
  readonly text: string
  /** Comments, texts and regular expressions are spaces; line breaks stand where they were. */
  readonly code: string
  /** Only comments are spaces. */
  readonly plain: string
  readonly imports: readonly Import[]
}

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The floors' folders. */
export const HOUSE = [
  'crypto',
  'proto',
  'supervisor',
  'core',
  'messages',
  'vm',
  'bridge',
  'actors',
  'node',
  'governance',
  'devnet',
] as const

export function readTree(folders: readonly string[], extension = '.ts'): SourceFile[] {
  const files: SourceFile[] = []
  const walk = (folder: string) => {
    for (const entry of listFolder(folder)) {
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.name.endsWith(extension)) {
        files.push(parseSource(path, readFileSync(posix.join(ROOT, path), 'utf8')))
      }
    }
  }
  for (const folder of folders) walk(folder)
  return files
}

function listFolder(folder: string) {
  try {
    return readdirSync(posix.join(ROOT, folder), { withFileTypes: true })
  } catch {
    return []
  }
}

export function parseSource(path: string, text: string): SourceFile {
  const { code, plain } = blank(text)
  return { path, text, code, plain, imports: importsOf(path, plain) }
}

/** `plain` keeps texts, `code` does not; neither keeps comments. */
function blank(text: string): { readonly code: string; readonly plain: string } {
  let code = ''
  let plain = ''
  /** Depth of braces at which each template's expression ends. */
  const templates: number[] = []
  let depth = 0
  let at = 0
  const take = (length: number, kind: 'code' | 'text' | 'comment') => {
    const piece = text.slice(at, at + length)
    const spaces = piece.replaceAll(/[^\n]/g, ' ')
    code += kind === 'code' ? piece : spaces
    plain += kind === 'comment' ? spaces : piece
    at += length
  }
  const takeTemplate = () => {
    let end = at + 1
    while (end < text.length && text[end] !== '`') {
      if (text[end] === '$' && text[end + 1] === '{') {
        take(end + 2 - at, 'text')
        templates.push(depth)
        depth += 1
        return
      }
      end += text[end] === '\\' ? 2 : 1
    }
    take(end + 1 - at, 'text')
  }
  while (at < text.length) {
    const char = text[at] as string
    const pair = text.slice(at, at + 2)
    if (pair === '//') take(lengthTo(text, at, '\n'), 'comment')
    else if (pair === '/*') take(lengthTo(text, at + 2, '*/') + 4, 'comment')
    else if (char === "'" || char === '"') take(quotedLength(text, at, char), 'text')
    else if (char === '`') takeTemplate()
    else if (char === '/' && startsPattern(code)) take(patternLength(text, at), 'text')
    else if (char === '}' && templates.at(-1) === depth - 1) {
      templates.pop()
      depth -= 1
      takeTemplate()
    } else {
      if (char === '{') depth += 1
      if (char === '}') depth -= 1
      take(1, 'code')
    }
  }
  return { code, plain }
}

function lengthTo(text: string, from: number, end: string): number {
  const found = text.indexOf(end, from)
  return (found < 0 ? text.length : found) - from
}

function quotedLength(text: string, from: number, quote: string): number {
  let end = from + 1
  while (end < text.length && text[end] !== quote) end += text[end] === '\\' ? 2 : 1
  return end + 1 - from
}

/** A slash after these begins a regular expression, after anything else it divides. */
function startsPattern(before: string): boolean {
  return /(?:^|[(,=:[!&|?{};+\n]|=>|\breturn)\s*$/.test(before.slice(-40))
}

function patternLength(text: string, from: number): number {
  let end = from + 1
  let isClass = false
  while (end < text.length && (text[end] !== '/' || isClass) && text[end] !== '\n') {
    if (text[end] === '[') isClass = true
    if (text[end] === ']') isClass = false
    end += text[end] === '\\' ? 2 : 1
  }
  return end + 1 - from
}

const IMPORT = /(?:^|\n)[ \t]*(?:import|export)\b([^'";]*?)\bfrom\s*'([^']+)'/g
const BARE_IMPORT = /(?:^|\n)[ \t]*import\s*'([^']+)'/g
const DYNAMIC_IMPORT = /\bimport\(\s*'([^']+)'\s*\)/g

function importsOf(path: string, plain: string): Import[] {
  const imports: Import[] = []
  const add = (specifier: string, index: number, isTypeOnly: boolean) => {
    const target = specifier.startsWith('.')
      ? posix.normalize(posix.join(dirname(path), specifier))
      : undefined
    imports.push({ specifier, target, line: lineAt(plain, index), isTypeOnly })
  }
  for (const match of plain.matchAll(IMPORT)) {
    const clause = (match[1] ?? '').trim()
    add(match[2] as string, match.index + match[0].length - 1, isTypeClause(clause))
  }
  for (const match of plain.matchAll(BARE_IMPORT)) add(match[1] as string, match.index + 1, false)
  for (const match of plain.matchAll(DYNAMIC_IMPORT)) add(match[1] as string, match.index, false)
  return imports
}

/** `type { A }`, or braces in which every name is marked. */
function isTypeClause(clause: string): boolean {
  if (/^type\b/.test(clause)) return true
  const names = /^\{([\s\S]*)\}$/.exec(clause)?.[1]
  if (names === undefined) return false
  const list = names.split(',').map((name) => name.trim())
  return list.every((name) => name === '' || name.startsWith('type '))
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}
