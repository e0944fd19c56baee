'use strict';
// Submits forms, shows revealed values for a while, and copies text. Text goes into the
// page only as text.
(() => {
	const hidden = '••••••••';
	const find = (selector, at) => (at || document).querySelector(selector);
	const each = (selector, fn) => document.querySelectorAll(selector).forEach(fn);
	const local = (to) => typeof to === 'string' && /^\/(console|docs)([/?]|$)/.test(to);

	// post submits a form and returns the answer with its status.
	async function post(form) {
		const answer = await fetch(form.getAttribute('action'), {
			method: 'POST', headers: { Accept: 'application/json' }, redirect: 'error', cache: 'no-store',
			body: new URLSearchParams(new FormData(form)),
		});
		const body = await answer.json();
		if (answer.status === 401 && local(body.to)) {
			location.assign(body.to);
		}
		return { ok: answer.ok, body };
	}

	// say shows a message in the alert, with a link if there is somewhere to go.
	function say(alert, text, to) {
		alert.textContent = text;
		alert.classList.toggle('warn', Boolean(to));
		if (to) {
			const link = document.createElement('a');
			link.href = to;
			link.textContent = 'Continue';
			alert.append(' ', link);
		}
		alert.hidden = false;
	}

	async function sent(form, alert, use) {
		const buttons = form.querySelectorAll('button');
		buttons.forEach((b) => { b.disabled = true; });
		alert.hidden = true;
		try {
			const { ok, body } = await post(form);
			if (ok) {
				use(body);
				return;
			}
			const revision = find('input[name=revision]', form);
			if (body.revision && revision) {
				revision.value = body.revision; // saving again applies the changes on top
			}
			say(alert, body.error || 'You are signed out.');
		} catch {
			say(alert, 'The server cannot be reached. Nothing is known to have changed: look before you try again.');
		} finally {
			buttons.forEach((b) => { b.disabled = false; });
		}
	}

	each('form[data-send]', (form) => form.addEventListener('submit', (event) => {
		event.preventDefault();
		const alert = find('.problem', form);
		sent(form, alert, (body) => {
			if (body.warnings) {
				say(alert, 'Stored. Check this: ' + body.warnings.join('; ') + '.', local(body.to) ? body.to : '');
			} else if (local(body.to)) {
				form.reset();
				location.assign(body.to);
			}
		});
	}));

	// Revealed values. The value is kept nowhere but in the text of its output.
	const covers = new Set();
	each('form[data-reveal]', (form) => {
		const row = form.parentElement, output = find('output', row), copy = find('[data-copy]', form), verb = find('[data-verb]', form);
		let timer;
		const cover = () => {
			clearTimeout(timer);
			covers.delete(cover);
			output.textContent = hidden;
			output.classList.remove('shown');
			verb.textContent = 'Reveal';
			copy.hidden = true;
		};
		form.addEventListener('submit', (event) => {
			event.preventDefault();
			if (covers.has(cover)) {
				cover();
				return;
			}
			sent(form, find('.problem', row), (body) => {
				output.textContent = body.value;
				output.classList.add('shown');
				output.title = body.base64 ? 'Not text, shown in base64' : '';
				verb.textContent = 'Hide';
				copy.hidden = false;
				covers.add(cover);
				timer = setTimeout(cover, body.hide);
			});
		});
		copy.addEventListener('click', () => copied(copy, output.textContent));
	});

	// A new key is shown once, and only by this.
	each('form[data-key]', (form) => {
		const shown = find('[data-key-shown]'), output = find('output', shown), copy = find('[data-copy]', shown);
		form.addEventListener('submit', (event) => {
			event.preventDefault();
			sent(form, find('.problem', form), (body) => {
				output.textContent = body.key;
				form.hidden = true;
				shown.hidden = false;
				find('h2', shown).focus();
				covers.add(() => { output.textContent = ''; });
			});
		});
		copy.addEventListener('click', () => copied(copy, output.textContent));
	});

	// Follows the audit log while the page is visible, for ten minutes at most.
	each('[data-follow]', (button) => {
		const entries = find('#entries'), blank = find('template').content;
		let after = button.dataset.after, left = 0, timer;
		const stop = () => {
			clearInterval(timer);
			timer = undefined;
			button.setAttribute('aria-pressed', 'false');
		};
		const look = async () => {
			if (left-- <= 0) {
				stop();
			}
			if (document.hidden) {
				return;
			}
			try {
				const answer = await fetch(button.dataset.follow + '&after=' + after, { headers: { Accept: 'application/json' }, redirect: 'error' });
				if (!answer.ok) {
					stop();
					return;
				}
				const { head, rows } = await answer.json();
				after = head;
				rows.forEach((r) => {
					const line = blank.cloneNode(true), cells = line.firstElementChild.children;
					[r.time, null, r.action, r.about, r.outcome, r.from].forEach((text, i) => {
						if (text !== null) {
							cells[i].textContent = text;
						}
					});
					cells[1].children[0].textContent = r.caller;
					cells[1].children[1].textContent = r.key;
					entries.prepend(line);
				});
			} catch {
				stop();
			}
		};
		button.disabled = false;
		button.addEventListener('click', () => {
			if (timer) {
				stop();
				return;
			}
			left = 300;
			timer = setInterval(look, 2000);
			button.setAttribute('aria-pressed', 'true');
			look();
		});
	});

	async function copied(button, text) {
		const label = button.firstChild, before = label.data;
		try {
			await navigator.clipboard.writeText(text);
			label.data = 'Copied';
		} catch {
			label.data = 'Not copied';
		}
		setTimeout(() => { label.data = before; }, 2000);
	}

	// Nothing that was revealed or typed stays in a page that the back button could show.
	window.addEventListener('pagehide', () => {
		covers.forEach((cover) => cover());
		each('textarea[name=value]', (field) => { field.value = ''; });
	});
	window.addEventListener('pageshow', (event) => {
		if (event.persisted) {
			location.reload();
		}
	});

	each('[data-add]', (button) => button.addEventListener('click', () => {
		const row = find('template', button.closest('form')).content.cloneNode(true);
		const first = find('input', row);
		(button.parentElement.matches('fieldset') ? button : button.parentElement).before(row);
		first.focus();
	}));
	document.addEventListener('click', (event) => {
		const drop = event.target.closest('[data-drop]');
		if (drop) {
			drop.closest('.pair').remove();
		}
		each('.menu[open]', (menu) => { menu.open = menu.contains(event.target); });
	});
})();
