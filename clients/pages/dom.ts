type Child = Node | string | null | undefined;

/** An element with attributes and children. Text is always text, never markup. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Readonly<Record<string, string>> = {}, ...children: readonly Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element of the page with that id. */
export function byId<T extends HTMLElement>(id: string, type: { new (): T }): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return element;
}

export interface Cell {
  readonly text: string;
  /** Numbers stand right. */
  readonly number?: boolean;
  readonly class?: string;
  readonly title?: string;
}

export function table(headings: readonly Cell[], rows: readonly (readonly Cell[])[], empty: string): HTMLElement {
  if (rows.length === 0) return h('p', { class: 'empty' }, empty);
  const cell = (tag: 'th' | 'td', { text, number, class: name, title }: Cell) => {
    const classes = [number ? 'number' : '', name ?? ''].filter(Boolean).join(' ');
    return h(tag, { ...(classes ? { class: classes } : {}), ...(title ? { title } : {}), ...(tag === 'th' ? { scope: 'col' } : {}) }, text);
  };
  return h(
    'div', { class: 'scroll', tabindex: '0' },
    h('table', {}, h('thead', {}, h('tr', {}, ...headings.map((each) => cell('th', each)))), h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map((each) => cell('td', each)))))),
  );
}
