/** A run of the model as text: what happened (`@`), what followed at once (`!`) and which proposals stood open (`?`). */

export const VIEWS = 4

export type Action =
  | { readonly kind: 'enter'; readonly node: number; readonly view: number }
  | { readonly kind: 'learn'; readonly node: number; readonly view: number; readonly block: number }
  | { readonly kind: 'fetch'; readonly node: number; readonly block: number }
  | Propose
  | Prepare
  | { readonly kind: 'crash'; readonly node: number }

interface Propose {
  readonly kind: 'propose'
  readonly node: number
  readonly view: number
  /** Undefined: a fresh block. */
  readonly certificateView: number | undefined
}

interface Prepare {
  readonly kind: 'prepare'
  readonly node: number
  readonly view: number
  readonly block: number
  readonly certificateView: number | undefined
}

interface Commit {
  readonly kind: 'commit'
  readonly node: number
  readonly view: number
  readonly block: number
}

type Follow = Propose | Prepare | Commit

/** A proposal that the node could act on, and whether the rules of the model allow it (2.3). */
export interface Offer {
  readonly node: number
  readonly block: number
  readonly certificateView: number | undefined
  readonly allowed: boolean
}

export interface TraceStep {
  readonly action: Action | undefined
  readonly follows: readonly Follow[]
  readonly offers: readonly Offer[]
}

/** Position of the validator that lies, and what the others did. The first step is the start. */
export interface Trace {
  readonly liar: number
  readonly steps: readonly TraceStep[]
}

/** The model counts views of certificates from 1; 0 is none. */
const earlier = (number: number) => (number === 0 ? undefined : number - 1)

/** Lines that are neither of the three kinds are passed over: spin says more than we ask for. */
export function parseTrace(liar: number, text: string): Trace {
  const steps: { action: Action | undefined; follows: Follow[]; offers: Offer[] }[] = [
    { action: undefined, follows: [], offers: [] },
  ]
  for (const line of text.split('\n')) {
    const [mark, ...words] = line.trim().split(' ')
    const current = steps.at(-1)
    if (mark === '@') steps.push({ action: actionOf(words), follows: [], offers: [] })
    else if (mark === '!') current?.follows.push(followOf(words))
    else if (mark === '?') current?.offers.push(offerOf(words.map(Number)))
  }
  return { liar, steps }
}

function actionOf([kind, ...rest]: readonly string[]): Action {
  const [node = 0, one = 0, two = 0, three = 0] = rest.map(Number)
  if (kind === 'enter') return { kind, node, view: one }
  if (kind === 'learn') return { kind, node, view: one, block: two }
  if (kind === 'fetch') return { kind, node, block: one }
  if (kind === 'crash') return { kind, node }
  if (kind === 'propose') return { kind, node, view: one, certificateView: earlier(two) }
  if (kind === 'prepare') {
    return { kind, node, view: one, block: two, certificateView: earlier(three) }
  }
  throw new Error(`the model does not say ${kind}`)
}

function followOf([kind, ...rest]: readonly string[]): Follow {
  const [node = 0, view = 0, value = 0, certificate = 0] = rest.map(Number)
  if (kind === 'prepare') {
    return { kind, node, view, block: value, certificateView: earlier(certificate) }
  }
  if (kind === 'commit') return { kind, node, view, block: value }
  if (kind === 'propose') return { kind, node, view, certificateView: earlier(value) }
  throw new Error(`nothing follows as ${kind}`)
}

function offerOf([node = 0, block = 0, certificate = 0, allowed = 0]: readonly number[]): Offer {
  return { node, block, certificateView: earlier(certificate), allowed: allowed !== 0 }
}

const counted = (view: number | undefined) => (view === undefined ? 0 : view + 1)

/** As `parseTraces` reads it. */
export function traceText({ liar, steps }: Trace): string {
  const lines = steps.flatMap(({ action, follows, offers }) => [
    ...(action === undefined ? [] : [`@ ${wordsOf(action)}`]),
    ...follows.map((follow) => `! ${wordsOf(follow)}`),
    ...offers.map(
      ({ node, block, certificateView, allowed }) =>
        `? ${node} ${block} ${counted(certificateView)} ${allowed ? 1 : 0}`,
    ),
  ])
  return [`# ${liar}`, ...lines, ''].join('\n')
}

function wordsOf(one: Action | Follow): string {
  const { kind, node } = one
  const rest =
    kind === 'crash'
      ? []
      : kind === 'enter'
        ? [one.view]
        : kind === 'fetch'
          ? [one.block]
          : kind === 'propose'
            ? [one.view, counted(one.certificateView)]
            : kind === 'prepare'
              ? [one.view, one.block, counted(one.certificateView)]
              : [one.view, one.block]
  return [kind, node, ...rest].join(' ')
}

/** Several runs in one text, each behind a line `# liar`. */
export function parseTraces(text: string): Trace[] {
  return text
    .split(/^# /m)
    .slice(1)
    .map((part) => parseTrace(Number.parseInt(part, 10), part))
}
