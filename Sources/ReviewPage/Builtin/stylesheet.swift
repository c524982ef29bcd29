// Written by scripts/embed-page. Change Assets/review.css instead.

extension PageAsset {
  static let stylesheet =
    #"""
    /* Colours first: each pair of them that meets is held to WCAG 2.2 AA by a test in a browser. */
    :root {
      color-scheme: light dark;
      --paper: #ffffff;
      --card: #f6f8fa;
      --line: #d0d7de;
      --edge: #6e7781;
      --ink: #1b1f24;
      --faint: #57606a;
      --link: #0550ae;
      --bad: #a40e26;
      --good: #116329;
      --doubtful: #7d4e00;
      --new: #dafbe1;
      --bar: #6e7781;
      --alarm: #a40e26;
      --on-alarm: #ffffff;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --paper: #0d1117;
        --card: #161b22;
        --line: #30363d;
        --edge: #7d8590;
        --ink: #e6edf3;
        --faint: #9aa4af;
        --link: #79b8ff;
        --bad: #ff8f8f;
        --good: #56d364;
        --doubtful: #e3b341;
        --new: #12301f;
        --bar: #7d8590;
        --alarm: #8e1519;
        --on-alarm: #ffffff;
      }
    }

    * { box-sizing: border-box; }
    html { font: 16px/1.5 system-ui, sans-serif; background: var(--paper); color: var(--ink); }
    body { margin: 0 auto; max-width: 70rem; padding: 0 1rem 3rem; overflow-wrap: anywhere; }
    h1 { font-size: 1.5rem; line-height: 1.25; margin: 1.25rem 0 0.75rem; }
    h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
    h3 { font-size: 1rem; margin: 0; }
    p { margin: 0.25rem 0; }
    a { color: var(--link); }
    .place, code, pre, .groups h3, .records { font-family: ui-monospace, monospace; font-size: 0.9rem; }
    .place { font-size: 1.15rem; }
    /* What was registered stands out, whatever stands before it. */
    .place, .groups h3 { font-weight: 400; }
    .faint { color: var(--faint); }
    .bad { color: var(--bad); }
    .good { color: var(--good); }
    .doubtful { color: var(--doubtful); }
    :focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
    main:focus { outline: none; }
    [hidden] { display: none; }

    .skip { position: absolute; left: -100vw; }
    .skip:focus { left: 1rem; top: 0.5rem; background: var(--paper); padding: 0.5rem; z-index: 1; }
    .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

    header { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; align-items: baseline; padding: 0.75rem 0; border-bottom: 1px solid var(--line); }
    .brand { font-weight: 700; }
    nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; list-style: none; margin: 0; padding: 0; }
    nav a { display: inline-block; padding: 0.25rem 0; }
    nav a[aria-current] { color: var(--ink); font-weight: 700; }
    #live { margin-left: auto; font-size: 0.875rem; }
    #live::before { content: "\25cb  "; }
    #live.on { color: var(--good); }
    #live.on::before { content: "\25cf  "; transition: opacity 0.2s; }
    .banner { background: var(--alarm); color: var(--on-alarm); padding: 0.75rem 1rem; margin: 1rem 0; border-radius: 0.375rem; font-weight: 700; }

    .filter { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.5rem 0.75rem; align-items: end; }
    label span { display: block; font-size: 0.875rem; color: var(--faint); }
    input, select, button { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--edge); border-radius: 0.375rem; min-height: 2.5rem; padding: 0.25rem 0.5rem; width: 100%; min-width: 0; }
    ::placeholder { color: var(--faint); opacity: 1; }
    button { width: auto; padding: 0.25rem 1rem; cursor: pointer; background: var(--card); font-weight: 600; }
    button:disabled { color: var(--faint); cursor: default; }
    button + button { margin-left: 0.5rem; }

    figure { margin: 0; }
    svg { display: block; width: 100%; height: auto; }
    .scale { display: flex; justify-content: space-between; border-top: 1px solid var(--edge); font-size: 0.8rem; color: var(--faint); }
    rect.blocked { fill: var(--bad); }
    rect.passed { fill: var(--bar); }
    figcaption { font-size: 0.875rem; color: var(--faint); }
    .key { margin-right: 0.75em; }
    .key::before { content: ""; display: inline-block; width: 0.75em; height: 0.75em; margin-right: 0.35em; }
    .key.blocked::before { background: var(--bad); }
    .key.passed::before { background: var(--bar); }
    table { border-collapse: collapse; margin: 0.5rem 0; }
    th, td { text-align: left; padding: 0.125rem 1rem 0.125rem 0; border-bottom: 1px solid var(--line); font-weight: 400; }
    thead th { font-weight: 700; }

    ol.groups { list-style: none; margin: 0.5rem 0; padding: 0; display: grid; gap: 0.75rem; }
    ol.groups > li { background: var(--card); border: 1px solid var(--line); border-radius: 0.375rem; padding: 0.75rem 1rem; }
    ol.groups > li.fresh { border-color: var(--bad); }
    .groups .number { font-weight: 700; }
    ol.questions { list-style: none; margin: 0.5rem 0; padding: 0; display: grid; gap: 0.75rem; }
    .question { background: var(--card); border: 2px solid var(--edge); border-radius: 0.375rem; padding: 0.75rem 1rem; }
    .question .place { font-size: 1rem; }
    .left { color: var(--doubtful); }
    .marks { list-style: none; margin: 0.5rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 0.5rem; }
    .marks li { color: var(--bad); border: 1px solid var(--bad); border-radius: 0.375rem; padding: 0 0.5rem; font-size: 0.875rem; }
    bdi { color: var(--doubtful); font-weight: 700; }
    form.answer { display: grid; gap: 0.5rem; margin-top: 0.5rem; }
    .buttons { display: flex; flex-wrap: wrap; gap: 0.5rem; }
    .buttons button { margin: 0; }
    .buttons select { width: auto; }
    .buttons span { white-space: nowrap; }
    #answered:not(:empty) { border: 1px solid var(--edge); border-radius: 0.375rem; padding: 0.5rem 1rem; margin: 1rem 0; font-weight: 700; }
    .pages { display: flex; flex-wrap: wrap; gap: 0.5rem 1.5rem; margin: 1rem 0; }
    pre { white-space: pre-wrap; background: var(--card); border: 1px solid var(--line); border-radius: 0.375rem; padding: 0.75rem; margin: 0.5rem 0; }
    button + h3, p + h3 { margin-top: 1rem; }
    pre.diff > *, pre.answer > span { display: block; min-height: 1.5em; text-decoration: none; }
    pre.answer > span > * { display: inline; }
    pre.diff ins { background: var(--new); }
    ol.records { list-style: none; padding: 0; margin: 0.5rem 0; }
    ol.records li { border-bottom: 1px solid var(--line); }
    summary { cursor: pointer; padding: 0.25rem 0; }
    dl { margin: 0.5rem 0; }
    dl > div { display: grid; grid-template-columns: minmax(6rem, 12rem) 1fr; gap: 0 1rem; padding: 0.125rem 0; }
    dt { color: var(--faint); }
    dd { margin: 0; }
    ul.plain { padding-left: 1.25rem; }

    @media (max-width: 30rem) {
      body { padding: 0 0.75rem 3rem; }
      #live { margin-left: 0; flex-basis: 100%; }
      dl > div { grid-template-columns: 1fr; padding: 0.25rem 0; }
    }
    @media (prefers-reduced-motion: reduce) {
      *, ::before, ::after { transition: none !important; animation: none !important; scroll-behavior: auto !important; }
    }

    """#
}
