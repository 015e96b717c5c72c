/** The part of anywidget that the modules here use. */
export interface Model<Traits> {
  get<Name extends keyof Traits & string>(name: Name): Traits[Name];
  set<Name extends keyof Traits & string>(name: Name, value: Traits[Name]): void;
  save_changes(): void;
  send(content: unknown): void;
  on(event: string, react: (content?: any, buffers?: any) => void): void;
  off(event: string, react: (content?: any, buffers?: any) => void): void;
}

export interface Context<Traits> {
  model: Model<Traits>;
  el: HTMLElement;
}
