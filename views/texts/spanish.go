package texts

import "strconv"

// Spanish is written for the Americas and Spain alike: it says "usted", as software in clinics does.
var Spanish = Texts{
	Tag: "es", Name: "Español",

	Common: Common{
		ErrorTitle:  func(title string) string { return "Error: " + title },
		Thousands:   "\u202f", // the Real Academia's: a point or a comma is read as the other one somewhere
		Roles:       map[string]string{"viewer": "Solo lectura", "clinician": "Personal clínico", "admin": "Administración"},
		Sexes:       map[string]string{"male": "Masculino", "female": "Femenino", "other": "Otro", "unknown": "Desconocido"},
		NotRecorded: "No consta",
		Statuses:    map[string]string{"active": "Activo", "inactive": "Inactivo", "deceased": "Fallecido"},
		Cancel:      "Cancelar",
	},

	Dates: Dates{
		Months:  [12]string{"ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"},
		Unknown: "Desconocida",
		Days:    func(n int) string { return strconv.Itoa(n) + " d" }, InMonths: func(n int) string { return count(n, "mes", "meses") },
		Years:      func(n int) string { return count(n, "año", "años") },
		AboutYears: func(n int) string { return "unos " + count(n, "año", "años") },
		Hours:      func(n int) string { return count(n, "hora", "horas") }, Minutes: func(n int) string { return count(n, "minuto", "minutos") },
		Seconds:          func(n int) string { return count(n, "segundo", "segundos") },
		HintMonthFirst:   "12/25/1974 o 1974-12-25; 1974-12 o 1974 si no se sabe más.",
		HintDayFirst:     "25.12.1974, 25/12/1974 o 1974-12-25; 1974-12 o 1974 si no se sabe más.",
		HintYearFirst:    "1974-12-25 o 25.12.1974; 1974-12 o 1974 si no se sabe más.",
		MorningAfternoon: [2]string{"a. m.", "p. m."},
	},

	Layout: Layout{
		Skip: "Ir al contenido", SignIn: "Iniciar sesión", Account: "Cuenta", Users: "Usuarios", Audit: "Auditoría", Display: "Presentación",
		Recent: "Pacientes recientes", Shortcuts: "Ayuda y teclado", SignOut: "Cerrar sesión",
		Menu: func(initials, name string) string {
			return initials + ": menú de la cuenta, sesión iniciada como " + name
		},
		Help: func(whom string) string { return "Ayuda: " + whom },
		Limits: func(idle, lifetime string) string {
			return "La sesión se cierra tras " + idle + " sin actividad, y " + lifetime + " después de iniciarla."
		},
		NoScript:    "Sin JavaScript no hay cuenta atrás que avise, y lo que escriba solo se conserva al guardarlo.",
		OffName:     "El inicio de sesión está desactivado",
		OffUntil:    "El inicio de sesión está desactivado hasta el",
		OffNoChange: "Hasta entonces no se puede cambiar nada.",
		OffStandIn:  "No ha iniciado sesión: cada consulta de un paciente queda registrada con la dirección de este equipo.",
		OffSeen:     "Cada consulta de un paciente queda registrada.",
		Unreachable: "No se pudo conectar con Chartroom. Lo que ve puede no estar al día; compruebe la conexión y vuelva a intentarlo.",
		Offline:     "Este equipo no tiene conexión. Lo que ve puede no estar al día; lo que envíe ahora no llegará.",
		Online:      "La conexión ha vuelto.",
		Slow:        "Cargando",
		Printed:     func(user, at string) string { return "Impreso por " + user + ", según consta el " + at },
		PrintedAsOf: func(at string) string { return "Según consta el " + at },
	},

	SignIn: SignIn{
		Username: "Nombre de usuario", Password: "Contraseña", Without: "Ir a la lista de pacientes sin iniciar sesión",
		Refused: "El nombre de usuario o la contraseña no son correctos. Ambos distinguen mayúsculas y minúsculas.",
		TooMany: func(wait string) string {
			return "Han fallado demasiados inicios de sesión. Vuelva a intentarlo dentro de " + wait + ", o pida ayuda a quien administra Chartroom."
		},
		Busy:     "Muchas personas están iniciando sesión en este momento. Vuelva a intentarlo dentro de unos segundos.",
		Notices:  map[string]string{"password-set": "La contraseña ha quedado establecida. Inicie sesión con ella."},
		TimedOut: func(idle string) string { return "Se cerró su sesión porque no hubo actividad durante " + idle + "." },
		LifeOver: func(lifetime string) string {
			return "Se cerró su sesión al cumplirse " + lifetime + " desde que la inició."
		},
		Ended: func(idle, lifetime string) string {
			return "Su sesión ha terminado: tras " + idle + " sin actividad, " + lifetime + " después de iniciarla, o porque alguien la cerró."
		},
		Kept: "Lo que escribió en el formulario de un paciente se conserva durante una hora: inicie sesión y vuelva a abrir ese formulario.",
	},

	Session: Session{
		StillThere: "¿Sigue ahí?",
		Soon: func(seconds string) string {
			return "Hace un rato que no hay actividad, así que la sesión se cerrará dentro de " + seconds + " segundos."
		},
		SoonOne:  "Hace un rato que no hay actividad, así que la sesión se cerrará dentro de 1 segundo.",
		EndsSoon: "Esta sesión termina pronto", At: func(clock string) string {
			return "La sesión se cerrará a esta hora: " + clock + ", haga lo que haga."
		},
		Kept: "Lo que escriba en el formulario de un paciente se conserva durante una hora, solo para usted.",
		Left: func(seconds string) string { return "Quedan " + seconds + " segundos" }, LeftOne: "Queda 1 segundo",
		Stay: "Mantener la sesión", UntilThen: "Continuar hasta entonces",
		OldPage:     "Esta página es de antes de que usted volviera a iniciar sesión. Recárguela, o continúe en otra pestaña.",
		Unreachable: "No se pudo conectar con Chartroom, así que la sesión todavía no se ha prolongado. Vuelva a intentarlo.",
		Out:         "Sesión cerrada", OutHeading: "Se ha cerrado su sesión",
		OutWhy: "No se puede conectar con Chartroom en este momento. La página de inicio de sesión aparecerá en cuanto sea posible.", Again: "Volver a intentarlo",
		Unkept: "Lo que escribe no se puede conservar en este momento: si se cerrara la sesión, se perdería. Guárdelo en cuanto pueda.",
	},

	Account: Account{
		Profile: "Perfil", Role: "Rol", LatestEnd: "Cierre de la sesión a más tardar",
		Email: "Correo electrónico", EmailHint: "Déjelo vacío si no hay ninguno.", SaveEmail: "Guardar el correo electrónico",
		PasswordEnds: "Una contraseña nueva cierra todas sus demás sesiones.", ChangePassword: "Cambiar la contraseña",
		Sessions: "Dónde tiene la sesión iniciada", EndOthers: "Cerrar todas las demás sesiones",
		Failures: func(n int, number string) string {
			if n == 1 {
				return "1 intento fallido de iniciar sesión con su nombre desde la última vez que usted la inició."
			}
			return number + " intentos fallidos de iniciar sesión con su nombre desde la última vez que usted la inició."
		},
		FailuresDo: func(n int) string {
			return one(n, "Revíselo", "Revíselos") + " [más abajo]. Si no fue usted, [cambie su contraseña] y avise a quien administra Chartroom."
		},
		Notices: map[string]string{
			"password-changed": "Su contraseña se ha cambiado; todas las demás sesiones se han cerrado.",
			"email":            "Su correo electrónico se ha guardado.",
			"session-ended":    "La sesión se ha cerrado.",
			"others-ended":     "Todas las demás sesiones se han cerrado.",
			"role":             "Su rol ha cambiado. Usted ya no administra Chartroom.",
		},
		Nowhere: "En ningún sitio.", Device: "Dispositivo", Address: "Dirección", Begun: "Inicio de sesión", LastUsed: "Último uso", EndIt: "Cerrarla",
		This: "esta sesión", End: "Cerrar", EndThat: func(device, begun string) string { return "Cerrar la sesión: " + device + ", iniciada el " + begun },
		SignIns: "Inicios de sesión recientes", NoSignIns: "Todavía no hay ninguno.", When: "Cuándo", What: "Qué ocurrió", SignedIn: "Sesión iniciada", Refused: "Rechazado",
		Refusals: map[string]string{
			"wrong password": "Rechazado: contraseña incorrecta",
			"throttled":      "Rechazado: demasiados intentos seguidos",
			"locked":         "Rechazado: bloqueado tras demasiados intentos",
			"disabled":       "Rechazado: el usuario estaba deshabilitado",
			"unusable hash":  "Rechazado: no se pudo verificar la contraseña; hay que establecerla de nuevo",
		},
		UnknownAddress: "desconocida", DeviceOn: func(browser, system string) string { return browser + " en " + system },
		OtherBrowser: "Otro navegador", Mac: "un Mac", UnknownDevice: "Dispositivo desconocido",
	},

	Password: Password{
		Current: "Contraseña actual", New: "Contraseña nueva",
		Hint: "Al menos 15 caracteres; cuentan los espacios y cualquier otro carácter. Varias palabras que no tengan nada que ver entre sí son " +
			"fáciles de recordar y difíciles de adivinar.",
		Suggest: "Sugerir una frase de contraseña",
		Suggested: "Se acaba de crear para usted; nadie más la ha visto. Consérvela en un gestor de contraseñas, o anótela y tenga la nota " +
			"donde solo usted pueda verla hasta que la sepa de memoria. Después, guarde.",
		Show: "Mostrar", ShowWhat: "la contraseña",
		Change: "Cambie su contraseña",
		Why: "Su contraseña es anterior a las reglas actuales y más fácil de adivinar de lo que estas permiten. Todavía puede iniciar sesión con ella; " +
			"elija una nueva cuando pueda.",
		AllEnd: "Con el cambio se cierran todas sus demás sesiones.", NotNow: "Ahora no",
		NotYours: "Esa no es su contraseña.",
		NotText:  "La contraseña contiene bytes que no son texto; escríbala de nuevo.",
		Common:   "Esta contraseña es una de las que se prueban primero; elija varias palabras que no tengan nada que ver entre sí.",
		Guessable: "Esta contraseña se adivinaría pronto: se compone de palabras corrientes, secuencias o repeticiones; " +
			"añada dos o tres palabras que no tengan nada que ver entre sí.",
		OwnWords: "Esta contraseña se compone de su propio nombre o dirección, o de palabras propias de este lugar; " +
			"quítelas, o añada tres o cuatro palabras que no tengan nada que ver con ellas.",
		Same: "La contraseña nueva es la que ya tiene: elija otra.", Other: "Esta contraseña no se puede usar: elija otra.",
		TooShort: func(least, has int) string {
			return "La contraseña debe tener al menos " + strconv.Itoa(least) + " caracteres, y esta tiene " + strconv.Itoa(has) + "; varias palabras son fáciles de recordar."
		},
		TooLong: func(most int) string {
			return "La contraseña debe tener como máximo " + strconv.Itoa(most) + " bytes; acórtela."
		},
		SetTitle: "Establezca su contraseña", Welcome: "Le damos la bienvenida: establezca su contraseña", SetNew: "Establezca una contraseña nueva",
		WorksOnce:  "Para el usuario {}. Esta página funciona una sola vez (hasta el {}).",
		ThenSignIn: "Después inicie sesión con ella.", ThenSignedOut: "Dondequiera que tenga ahora la sesión iniciada, se cerrará.", Set: "Establecer la contraseña",
		LinkOver: "Este enlace ya no funciona", LinkOverWhy: "Un enlace así sirve para establecer la contraseña una sola vez y durante un tiempo limitado.",
		LinkOverDo:     "Si ya ha establecido su contraseña con él, [inicie sesión]. Si no, pida un enlace nuevo a quien administra Chartroom.",
		Confirm:        "Confirme que es usted",
		ConfirmChange:  "Esto cambia quién puede entrar, así que se le pide la contraseña una vez más. Después se continúa automáticamente.",
		ConfirmTakeOut: "Con esto sale de aquí el registro de quién vio a qué paciente, así que se le pide la contraseña una vez más. Después se envía el archivo.",
		GoOn:           "Continuar", BackToAudit: "Volver a la auditoría",
	},

	Users: Users{
		New: "Nuevo usuario", Search: "Buscar por una parte del nombre de usuario o del correo electrónico",
		NoneHolds: "Ningún nombre de usuario ni correo electrónico contiene esto.", ShowAll: "Mostrar todos los usuarios", All: "Todos los usuarios", First: "Primera página",
		Caption: "Usuarios por nombre", State: "Estado", LastIn: "Último inicio de sesión", Sessions: "Sesiones", Email: "Correo electrónico", Never: "nunca",
		Found: func(n int, number string) string {
			if n == 1 {
				return "1 usuario"
			}
			return number + " usuarios"
		},
		FoundMore: func(number string) string { return number + " usuarios en esta página, y hay más" }, FoundNone: "No se encontró ningún usuario",
		States:   map[string]string{"active": "Activo", "disabled": "Deshabilitado", "locked": "Bloqueado", "invite": "Invitado", "reset": "Enlace nuevo"},
		NewIntro: "La página siguiente tiene un enlace para entregarle. Con él establece su propia contraseña, una sola vez.", EmailOptional: "Correo electrónico (opcional)",
		NameHint: "Debe coincidir exactamente al iniciar sesión, también en las mayúsculas. No se puede cambiar.",
		RoleHint: "«Solo lectura» consulta pacientes; «Personal clínico» además los modifica; «Administración» además gestiona los usuarios.",
		Create:   "Crear y generar el enlace", LinkTitle: "Enlace para un usuario", InvitationFor: "Invitación para {}", PasswordFor: "Contraseña nueva para {}",
		Created: "El usuario se ha creado.", LinkMade: "El enlace se ha generado; uno anterior ya no funciona. La contraseña actual sirve hasta que se establezca una nueva.",
		Link: "El enlace, que se muestra solo esta vez",
		LinkHint: "Cópielo ahora: no se guarda en ningún sitio. Funciona una sola vez (hasta el {}). Entréguelo a {} y a nadie más, mejor en persona: " +
			"quien lo abra primero establece la contraseña.",
		Done: "Listo", One: "Usuario", Own: "Esta es su propia cuenta.", May: "Qué puede hacer", SaveRole: "Guardar el rol", GettingIn: "Acceso",
		InviteOpen: "La invitación está abierta (hasta el {}).", LinkOpen: "Hay abierto un enlace para una contraseña nueva (hasta el {}).",
		MakeLink: "Generar un enlace para una contraseña nueva", MakeLinkHint: "Funciona una sola vez y sustituye a un enlace anterior. Usted no ve nunca la contraseña.",
		Unlock: "Desbloquear", UnlockHint: "Olvida los inicios de sesión fallidos que se han contado, para que el usuario no tenga que esperar.",
		LockedHint:  "Han fallado demasiados inicios de sesión: los navegadores que el usuario no ha utilizado antes se rechazan hasta que usted desbloquee.",
		Disable:     "Deshabilitar este usuario",
		DisableHint: "Sus sesiones se cierran de inmediato, y no puede iniciar sesión hasta que alguien vuelva a habilitarlo.",
		Disabled:    "Este usuario está deshabilitado y no puede iniciar sesión.",
		Enable:      "Habilitar este usuario", EnableHint: "Después podrá volver a iniciar sesión, con la contraseña que tenía.",
		SignedInAt: "Dónde tiene la sesión iniciada", SignOut: "Cerrar todas sus sesiones",
		Did: "Qué vio e hizo este usuario", AllDid: "Todos los eventos de auditoría de este usuario",
		Notices: map[string]string{
			"role":       "El rol ha cambiado, desde la próxima solicitud.",
			"disabled":   "El usuario está deshabilitado y todas sus sesiones se han cerrado.",
			"enabled":    "El usuario está habilitado y puede volver a iniciar sesión.",
			"signed-out": "Todas las sesiones del usuario se han cerrado.",
			"unlocked":   "Los inicios de sesión fallidos se han olvidado.",
		},
		LastAdmin: "Es el último usuario con el rol de administración: dé antes ese rol a otro.",
		Taken:     "Ya hay un usuario con este nombre o correo electrónico.", Off: "Este usuario está deshabilitado: habilítelo primero.",
		BadRole:    func(roles string) string { return "El rol debe ser uno de estos: " + roles + "." },
		NameLength: "El nombre de usuario debe tener de 1 a 255 bytes.", NameNotText: "El nombre de usuario contiene caracteres que no se pueden escribir.",
		NameSpaces: "El nombre de usuario empieza o termina con un espacio, que nadie vería.",
	},

	List: List{
		Heading: "Pacientes", HeadingFound: "Pacientes encontrados", New: "Nuevo paciente",
		Label: "Buscar por nombre, n.º de historia, fecha de nacimiento o teléfono", Search: "Buscar", Filters: "Filtros",
		Status: "Estado", Sex: "Sexo", BornFrom: "Nacido desde", BornTo: "Nacido hasta", Rows: "Filas", Any: "Todos",
		Name: "Nombre", MRN: "N.º de historia", NoMRN: "sin n.º", Born: "Nacimiento", Phone: "Teléfono", City: "Ciudad", Updated: "Última actualización",
		Pages: "Páginas de la lista", First: "Primera", Previous: "Anterior", Next: "Siguiente", Last: "Última",
		Export:  func(patients string) string { return "Exportar " + patients + ":" },
		Similar: "Nombres parecidos", SimilarCaption: "Pacientes cuyo nombre se escribe de forma muy parecida a lo buscado",
		BestFirst: "primero la mejor coincidencia", ShowAll: "Mostrar todos los pacientes",
		InvalidAddress:  "Esa dirección de lista no es válida, por lo que se muestran todos los pacientes.",
		NothingSearched: "No se ha buscado nada.",
		NoneBoth:        "Ningún paciente coincide con la búsqueda y los filtros a la vez. Quite un filtro o revise la ortografía.",
		NoneSearch:      "Ningún paciente coincide. Revise la ortografía, o busque por fecha de nacimiento, n.º de historia o los últimos dígitos de un teléfono.",
		NoneFilter:      "Ningún paciente cumple estos filtros.",
		NoneYet:         "Todavía no hay pacientes. Quien administra Chartroom puede cargarlos con «chartroom import».",
		Found: func(n int, number string) string {
			if n == 1 {
				return "1 paciente"
			}
			return number + " pacientes"
		},
		FoundMore: func(number string) string { return "más de " + number + " pacientes" }, FoundNone: "No se encontró ningún paciente", Filtered: ", con filtros",
		AlsoSimilar: func(n int) string { return ", y " + strconv.Itoa(n) + " más con nombre parecido" },
		OnlySimilar: func(n int) string { return ", pero sí " + strconv.Itoa(n) + " con nombre parecido" },
		Meant:       "Ningún paciente coincide exactamente. ¿Busca a alguno de estos?",
		Sorted: map[string]string{"best": "primero la mejor coincidencia", "name": "por orden de nombre", "birth_date": "por orden de fecha de nacimiento, primero los de más edad",
			"mrn": "por orden de n.º de historia", "updated": "por orden de última actualización, primero la más antigua"},
		SortedDown: map[string]string{"name": "por orden de nombre, del último al primero", "birth_date": "por orden de fecha de nacimiento, primero los de menos edad",
			"mrn": "por orden de n.º de historia, del último al primero", "updated": "por orden de última actualización, primero la más reciente"},
		RowsLast:   func(n int, sorted string) string { return "Los últimos " + strconv.Itoa(n) + " pacientes, " + sorted },
		RowsFromTo: func(from, to, sorted string) string { return "Pacientes " + from + " a " + to + ", " + sorted },
		RowsSome:   func(sorted string) string { return "Pacientes, " + sorted },
		Matches: map[string]string{"family name": "apellido", "given name": "nombre de pila", "other name": "otro nombre", "part of a name": "parte de un nombre",
			"MRN": "n.º de historia", "birth date": "fecha de nacimiento", "phone": "teléfono"},
		SameName: func(birth string) string {
			if birth == "" {
				return "fecha de nacimiento desconocida · mismo nombre"
			}
			return "nacimiento: " + birth + " · mismo nombre"
		},
		SimilarName: func(birth string) string { return "nacimiento: " + birth + " · nombre parecido" },
		Namesakes: func(n int) string {
			if n == 1 {
				return "Otro paciente tiene este nombre. Compruebe la fecha de nacimiento o [muestre ambos]."
			}
			return strconv.Itoa(n) + " pacientes más tienen este nombre. Compruebe la fecha de nacimiento o [muéstrelos todos]."
		},
		NamesakesMany: "Diez o más pacientes más tienen este nombre. Compruebe la fecha de nacimiento o [muéstrelos].",
		OpenPageShort: "Abrir página",
		NoneRecent:    "No ha abierto ningún paciente últimamente.",
		OpenPage:      "Abrir como página", Edit: "Editar", Close: "Cerrar",
		TooLong: func(letters, words int) string {
			return "Es demasiado para una búsqueda: use como máximo " + strconv.Itoa(letters) + " caracteres y " + strconv.Itoa(words) + " palabras."
		},
		BadText:    "Esa búsqueda contiene caracteres que no tiene ningún nombre, número o fecha.",
		BadDate:    "Una fecha de nacimiento para filtrar debe ser completa, como 1974-12-25.",
		BadSpan:    "La primera fecha de nacimiento para filtrar no debe ser posterior a la última.",
		BadRequest: "La lista no se puede mostrar así", BadRequestDo: "Vuelva a cargar la lista e inténtelo de nuevo.",
	},

	Patient: Patient{
		Title: "Paciente", Back: "Todos los pacientes", Edit: "Editar", MRN: "N.º de historia", Born: "Nacimiento:", Updated: "Última actualización:",
		NoMRN: "Sin n.º de historia", NoBirth: "Fecha de nacimiento desconocida", NoSex: "Sexo: no consta", SexUnknown: "Sexo desconocido",
		Names: "Nombres", Identifiers: "Identificadores", Telecoms: "Teléfono y correo electrónico", Addresses: "Direcciones", Contacts: "Contactos",
		Details: "Otros datos",
		NoName:  "No consta ningún nombre.", NoIdentifier: "No consta ningún identificador.", NoTelecom: "No consta ningún teléfono ni correo electrónico.",
		NoAddress: "No consta ninguna dirección.", NoContact: "No consta ninguna persona de contacto.", NoDetails: "No consta nada más.",
		Terms: map[string]string{
			"name": "Nombre", "identifier": "Identificador", "telecom": "Otro contacto", "address": "Dirección", "contact": "Contacto",
			"birthTime": "Hora de nacimiento", "multipleBirth": "Parto múltiple", "deceased": "Fallecido", "maritalStatus": "Estado civil",
			"language": "Idioma", "generalPractitioner": "Médico de cabecera", "managingOrganization": "Organización responsable",
			"species": "Especie", "breed": "Raza", "birthDate": "Fecha de nacimiento", "gender": "Sexo", "active": "Estado", "other": "Otros datos",
		},
		Words: map[string]map[string]string{
			"name": {"official": "Oficial", "usual": "Habitual", "maiden": "De soltera", "nickname": "Apodo", "old": "Anterior", "temp": "Temporal",
				"anonymous": "Anónimo"},
			"address": {"home": "Particular", "work": "Trabajo", "temp": "Temporal", "old": "Anterior", "billing": "Facturación"},
			"telecom": {"phone": "Teléfono", "sms": "Mensaje de texto", "email": "Correo electrónico", "fax": "Fax", "pager": "Buscapersonas", "url": "Página web"},
			"identifier": {"MR": "Número de historia clínica", "SS": "Número de la seguridad social", "DL": "Licencia de conducir", "PPN": "Número de pasaporte",
				"MB": "Número de afiliado", "MC": "Número de Medicare", "MA": "Número de Medicaid", "AN": "Número de cuenta", "PI": "Identificador interno del paciente",
				"BCT": "Certificado de nacimiento", "NI": "Identificador nacional", "NH": "Identificador del plan nacional de salud",
				"JHN": "Número de salud de la jurisdicción"},
			"maritalStatus": {"A": "Matrimonio anulado", "C": "Unión de hecho", "D": "Divorciado/a", "I": "Divorcio con sentencia provisional",
				"L": "Separado/a legalmente", "M": "Casado/a", "P": "Polígamo/a", "S": "Nunca se ha casado", "T": "Pareja de hecho", "U": "Soltero/a",
				"W": "Viudo/a", "UNK": "Desconocido"},
			"contact": {"C": "Contacto de emergencia", "E": "Empleador", "F": "Organismo federal", "I": "Aseguradora", "N": "Familiar más cercano",
				"S": "Organismo estatal", "U": "Relación desconocida"},
			"yesNo": {"true": "Sí", "false": "No"},
		},
		Uses:        map[string]string{"home": "(casa)", "work": "(trabajo)", "mobile": "(móvil)", "temp": "(temporal)", "old": "(anterior)"},
		Until:       func(what, date string) string { return what + ", hasta: " + date },
		BirthOrder:  func(number string) string { return "Sí, número " + number + " por orden de nacimiento" },
		Preferred:   func(language string) string { return language + " (preferido)" },
		SeenHeading: "Quién ha visto a este paciente", SeenAll: "Todo lo registrado sobre este paciente",
		Notices: map[string]string{
			"created":   "El nuevo paciente ha quedado registrado.",
			"saved":     "El cambio se ha guardado.",
			"unchanged": "No se cambió nada, así que no se guardó nada.",
			"kept":      "Se ha conservado lo que había aquí.",
			"taken":     "Se han adoptado los datos importados.",
			"stale":     "No se hizo nada, porque esta ficha cambió entretanto. Vuelva a mirarla y decida.",
		},
	},

	Form: Form{
		New: "Nuevo paciente", Edit: "Editar paciente",
		NotSaved: func(title string) string { return "Sin guardar todavía: " + title },
		Changed:  func(title string) string { return "Cambiado entretanto: " + title },
		Known:    func(title string) string { return "¿Ya está registrado? " + title },
		Back:     "Volver sin guardar", Save: "Guardar", SaveNew: "Guardar el nuevo paciente", SaveAnyway: "Guardar de todos modos",
		Person: "Persona", Address: "Dirección", Status: "Estado",
		Labels: map[string]string{"family": "Apellidos", "given": "Nombres de pila", "birth_date": "Fecha de nacimiento", "gender": "Sexo",
			"mrn": "N.º de historia clínica", "phone": "Teléfono", "email": "Correo electrónico", "line": "Calle y número", "postal_code": "Código postal",
			"city": "Ciudad", "state": "Estado, provincia o región", "country": "País", "active": "Estado de la ficha", "deceased": "Fallecido",
			"deceased_on": "Fecha de fallecimiento, si se sabe"},
		LineHint: "Las demás líneas, separadas por una coma.", ActiveHint: "Inactivo en lugar de borrado: el paciente sigue registrado y se le puede encontrar.",
		ActiveNotRecorded: "Activo (no consta)", NotDead: "No, o no se sabe", Yes: "Sí",
		DeadSince: func(date string) string { return "Sí, " + date },
		None:      "sin datos",
		Problems: map[string]string{
			"known by":                    "Escriba un apellido o un nombre de pila. Si nadie sabe el nombre, escriba «Desconocido» o indique un número de historia clínica.",
			"length":                      "Escriba como máximo 200 caracteres.",
			"control characters":          "Quite los caracteres de control, como tabulaciones y saltos de línea.",
			"birth date":                  "Eso no es una fecha. Escriba la fecha de nacimiento como {}",
			"birth day":                   "Ese día no existe en el calendario. Escriba la fecha de nacimiento como {}",
			"birth in the future":         "Escriba una fecha de nacimiento que no esté en el futuro.",
			"birth year":                  "Compruebe el año: la fecha de nacimiento es anterior a 1850.",
			"gender":                      "Elija masculino, femenino, otro o desconocido.",
			"mrn length":                  "Escriba un número de historia clínica de 100 caracteres como máximo.",
			"phone":                       "Escriba el teléfono solo con dígitos, espacios y + ( ) - . /; una extensión, como ext 12.",
			"phone length":                "Escriba un teléfono de al menos 3 dígitos y 40 caracteres como máximo.",
			"email":                       "Escriba una sola dirección de correo electrónico como nombre@example.org, sin espacios.",
			"email length":                "Escriba una dirección de correo electrónico de 254 caracteres como máximo.",
			"active":                      "Elija activo o inactivo.",
			"death":                       "Eso no es una fecha. Escriba la fecha de fallecimiento como {}",
			"death day":                   "Ese día no existe en el calendario. Escriba la fecha de fallecimiento como {}",
			"death in the future":         "Escriba una fecha de fallecimiento que no esté en el futuro.",
			"death before birth":          "Escriba una fecha de fallecimiento que no sea anterior a la de nacimiento.",
			"date of death without death": "Hay una fecha de fallecimiento. Elija «Sí» en fallecido, o quite la fecha.",
		},
		OneProblem: "Revise un campo. Todavía no se ha guardado nada.", SomeProblems: "Revise algunos campos. Todavía no se ha guardado nada.",
		Failure: func(request string) string {
			return "Chartroom no puede acceder a sus datos en este momento, así que no se guardó nada. Lo que escribió está abajo: inténtelo de nuevo en unos " +
				"segundos, o pida ayuda con el número " + request + "."
		},
		DraftBefore: "Esto es lo que había escrito y no guardado (hora: ", DraftAfter: ").",
		DraftIntro:   "Nada de ello está registrado. Revíselo y guárdelo.",
		DraftStale:   "Alguien ha cambiado este paciente después: al guardar verá ambas cosas.",
		DraftDiscard: "Descartarlo",
		NewerHeading: "Otra persona cambió este paciente mientras usted escribía. Todavía no se ha guardado nada.",
		NewerBy:      "Ahora está como lo dejó ", NewerAt: " el ", NewerThen: ". El formulario de abajo contiene ambas cosas: esos cambios y los suyos.",
		NewerAsk:   "Donde ambos cambiaron el mismo campo, en el formulario está lo suyo: revise los campos marcados y decida.",
		NewerSave:  "Después, guarde.",
		NewerTable: "Lo que cambió por ambas partes", Field: "Campo", Now: "Registrado ahora", Typed: "Lo que usted escribió", ChangedBy: "Cambiado por",
		Both: "ambos", You: "usted",
		Untouched: "sin cambios por su parte", NoteUnsaved: "Registrado ahora:",
		NoteBoth: "Cambiado por ambos. Registrado ahora:", NoteTheirs: "Cambiado entretanto en la ficha; adoptado aquí.",
		LikelyHeading: "Puede que este paciente ya esté registrado. Todavía no se ha guardado nada.",
		LikelyIntro:   "Mire los que tienen el mismo nombre y fecha de nacimiento, o el mismo n.º de historia. Cada uno se abre en otra pestaña; este formulario sigue abierto.",
		LikelyTable:   "Probablemente el mismo paciente",
		LikelyMRN:     "El n.º de historia que ha escrito ya es de otro paciente.",
		SameName:      "mismo nombre", SameBirth: "misma fecha de nacimiento", SameMRN: "mismo n.º de historia",
	},

	History: History{
		Heading: "Historial de cambios", Earlier: "Versiones anteriores",
		Older:   "Hay registradas versiones aún más antiguas; esta página muestra las más recientes.",
		Version: func(number string) string { return "versión " + number },
		Nothing: "No cambió nada de lo que muestra esta página.", First: "Se registró.",
		Unknown: "No consta lo que se cambió aquí ni antes.",
		Changed: "cambiado", ChangedIn: func(elements string) string { return "cambiado (en FHIR: " + elements + ")" },
		From: "de", To: "a",
		Import:     func(number string) string { return "Importación " + number },
		FromImport: func(number string) string { return ", de la importación " + number },
		NoAuthor:   "No consta",
		Conflict:   "Una importación trajo otros datos de este paciente", ConflictCame: "Llegaron el ",
		ConflictImport: func(number string) string {
			return " (importación " + number + "). Este paciente se ha cambiado aquí desde la última importación, así que no se sobrescribió nada."
		},
		ConflictDecide: "Elija cuál de los dos queda. Si adopta los datos importados, lo que hay aquí se conserva en el historial.",
		ConflictWait:   "Alguien que pueda cambiar pacientes debe elegir cuál de los dos queda.",
		Differs:        "En qué difieren", Here: "Aquí", Imported: "Importado",
		DiffersUnseen: func(elements string) string {
			if elements == "" {
				return "Ambos difieren en lo que esta página no muestra."
			}
			return "Ambos difieren en lo que esta página no muestra. En FHIR se llama: " + elements + "."
		},
		KeepHere: "Conservar lo que hay aquí", TakeImported: "Adoptar los datos importados",
	},

	Display: Display{
		Title: "Presentación", Intro: "Cómo ve usted Chartroom, en cualquier equipo en el que inicie sesión.",
		Language: "Idioma", LanguageBrowser: "El del navegador",
		Theme: "Colores", ThemeSystem: "Los del equipo", Light: "Claros", Dark: "Oscuros",
		Density: "Filas de las tablas", Comfortable: "Holgadas", Compact: "Compactas",
		Shortcuts: "Teclas sueltas", ShortcutsOn: "Activadas", ShortcutsOff: "Desactivadas",
		ShortcutsHint: "Si están activadas, / lleva a la búsqueda y ? muestra la ayuda. Desactívelas si usa el equipo con la voz.",
		Columns:       "Columnas de la lista", ColumnsHint: "El nombre va siempre primero, y la fecha de nacimiento está siempre: el nombre solo no basta para reconocer a un paciente.", SaveColumns: "Guardar las columnas", Shown: "siempre visible",
		Show: func(column string) string { return "Mostrar " + column },
		Up:   func(column string) string { return "Subir " + column },
		Down: func(column string) string { return "Bajar " + column },
		Save: "Guardar", Saved: "Guardado.",
	},

	Audit: Audit{
		Title: "Auditoría", Filters: "Filtros",
		User: "Usuario", What: "Qué", Patient: "Paciente (dirección de su página)", Outcome: "Resultado", From: "Desde", Until: "Hasta", Any: "Todos",
		Everything: "Todo", Now: "Ahora:", Show: "Mostrar", ShowAll: "Mostrar todo",
		All: func(group string) string { return group + ": todo" },
		Groups: map[string]string{"seen": "Pacientes vistos", "changed": "Pacientes cambiados", "taken": "Datos extraídos",
			"sign-ins": "Inicio y cierre de sesión", "accounts": "Cuentas", "audit": "La auditoría", "denied": "Denegado", "server": "El servidor"},
		Actions: map[string]string{
			"patient-list": "Vio en una lista", "patient-open": "Abrió un paciente",
			"patient-create": "Añadió un paciente", "patient-change": "Cambió un paciente",
			"conflict-keep": "Conservó lo que había en lugar de los datos importados", "conflict-take": "Adoptó datos importados",
			"import": "Importó pacientes", "import-undo": "Deshizo una importación",
			"export": "Exportó pacientes", "audit-export": "Exportó la auditoría",
			"sign-in": "Inicio de sesión", "sign-out": "Cerró la sesión", "session-renewed": "Volvió a dar la contraseña",
			"session-ended": "Finalizó una sesión", "session-expired": "Caducó una sesión", "session-removed": "Se eliminó una sesión en la base de datos",
			"user-create": "Creó un usuario", "user-disable": "Desactivó un usuario", "user-enable": "Activó un usuario",
			"user-set-role": "Cambió un rol", "user-set-password": "Puso la contraseña de un usuario", "user-reset-link": "Creó un enlace para una contraseña",
			"user-sign-out": "Cerró todas las sesiones de un usuario", "user-unlock": "Desbloqueó un usuario", "password-change": "Cambió su contraseña",
			"password-by-link": "Puso una contraseña con un enlace", "email-change": "Cambió su dirección de correo electrónico",
			"audit-list": "Leyó la auditoría", "audit-open": "Abrió un evento", "audit-drop": "Eliminó un mes de eventos",
			"access": "Pidió lo que su rol no permite", "csrf": "Envió un formulario desde otro lugar", "link": "Abrió un enlace no válido",
			"start": "Inició un servidor", "migration": "Migró la base de datos",
		},
		Done: "Hecho", Refused: "Denegado",
		Wrong: "No se buscó nada: vea lo que está marcado arriba.", NoneFound: "No se encontró ningún evento", None: "Ningún evento cumple estos filtros.",
		Found:     func(n int) string { return count(n, "evento", "eventos") + " en esta página" },
		FoundMore: ", y hay otros anteriores",
		Caption: func(from, to string) string {
			return "Eventos desde " + from + " hasta " + to + ", primero el más reciente"
		},
		Newest: "Los más recientes", Newer: "Más recientes", Older: "Más antiguos",
		Export: "Exportar todos los eventos:", ExportFiltered: "Exportar todos los eventos que cumplen los filtros:",
		When: "Cuándo", Who: "Quién", Patients: "Pacientes", Address: "Dirección",
		MarkRefused: "Denegado", MarkDone: "Hecho",
		Shell: "consola", Nobody: "nadie conocido", SignInOff: "nadie: el inicio de sesión está desactivado",
		OfShell: func(name string) string { return name + " (consola)" },
		Count: func(n int, number string) string {
			if n == 1 {
				return "1 paciente"
			}
			return number + " pacientes"
		},
		Details: map[string]func(string) string{
			"version": func(v string) string { return "versión " + v }, "fields": func(v string) string { return v },
			"import": func(v string) string { return "importación " + v }, "created": func(v string) string { return "creados: " + v },
			"updated": func(v string) string { return "actualizados: " + v }, "conflicts": func(v string) string { return "en conflicto: " + v },
			"deleted": func(v string) string { return "borrados: " + v }, "restored": func(v string) string { return "restaurados: " + v },
			"kind": func(v string) string { return v }, "format": func(v string) string { return "como " + v },
			"role": func(v string) string { return "rol: " + v }, "user_id": func(v string) string { return "usuario " + v },
			"event": func(v string) string { return "evento " + v }, "searched": func(string) string { return "con búsqueda" },
			"filtered": func(string) string { return "con filtros" }, "similar": func(string) string { return "nombres parecidos" },
			"duplicates": func(string) string { return "probables duplicados" }, "recent": func(string) string { return "abiertos hace poco" }, "filters": func(v string) string { return "por " + v },
			"events": func(v string) string { return "eventos: " + v }, "complete": func(string) string { return "completo" },
			"email": func(string) string { return "con dirección de correo electrónico" }, "month": func(v string) string { return "de " + v },
			"route": func(v string) string { return v }, "left_out": func(v string) string { return "más como este: " + v },
			"weakened": func(v string) string { return "protección reducida por " + v }, "from": func(v string) string { return "desde la versión " + v },
			"to": func(v string) string { return "a la versión " + v },
		},
		Values: map[string]string{
			"family": "apellidos", "given": "nombres de pila", "birth_date": "fecha de nacimiento", "gender": "sexo", "mrn": "n.º de historia",
			"phone": "teléfono", "email": "correo electrónico", "line": "calle", "city": "ciudad", "state": "estado o región",
			"postal_code": "código postal", "country": "país", "active": "estado", "deceased": "fallecido",
			"other site": "otro sitio", "form token": "testigo del formulario", "sign-in off": "inicio de sesión desactivado",
			"unknown link": "enlace desconocido", "invite": "invitación", "reset": "nueva contraseña", "unknown user": "usuario desconocido",
			"wrong password": "contraseña incorrecta", "unusable hash": "hash inutilizable", "disabled": "desactivado", "locked": "bloqueado",
			"throttled": "demasiados intentos", "given up": "abandonado", "changed meanwhile": "cambió entretanto",
			"user": "usuario", "action": "acción", "patient": "paciente", "outcome": "resultado", "time": "fecha",
		},
		Event: "Evento", TheEvent: "El evento", Number: "Número", Time: "Hora", Action: "Acción", Detail: "Detalle", Stored: "Detalle tal como está almacenado",
		Source: "De dónde vino", Client: "Dirección del cliente", Session: "Sesión", Request: "Código de la solicitud", Program: "Programa",
		NoPatients: "Ninguno.",
		Gone:       func(id string) string { return "Ya no está aquí: " + id },
		More: func(n int, number string) string {
			if n == 1 {
				return "Y 1 paciente más: en la exportación están todos."
			}
			return "Y " + number + " pacientes más: en la exportación están todos."
		},
		BadPatient: "Pegue la dirección de la página del paciente.", BadDate: "Escriba la fecha como 2026-12-25.", BadUntil: "Es anterior al primer día.",
		NoUser: "Ningún nombre de usuario empieza así.",
		ManyUsers: func(most int) string {
			return "Más de " + strconv.Itoa(most) + " nombres de usuario empiezan así: escriba más letras."
		},
		Nothing: "No hay nada registrado.",
	},

	Help: Help{
		Title: "Ayuda y teclado",
		Keys:  "Teclado", KeysNote: "También se llega a todo con el tabulador y se abre con Intro.",
		KeysOff:   "Las teclas sueltas / y ? se pueden desactivar en [Presentación].",
		KeySearch: "lleva al cuadro de búsqueda", KeyHelp: "muestra esta ayuda",
		KeyDown: "del cuadro de búsqueda al primer paciente, y de un paciente al siguiente", KeyUp: "al paciente anterior, y del primero al cuadro de búsqueda",
		KeyEnds: "al primer y al último paciente de la página", KeyEnter: "abre el paciente",
		KeyEscape: "cierra el paciente, el menú o esta ayuda, y vacía el cuadro de búsqueda",
		Down:      "Flecha abajo", Up: "Flecha arriba", Home: "Inicio", End: "Fin", Enter: "Intro", Escape: "Esc",
		Searching: "Cómo buscar", SearchingNote: "No importan las mayúsculas, las tildes ni los guiones. La mejor coincidencia va primero.",
		Start: "las primeras letras de cualquier nombre o apellido, también de nombres anteriores y apodos", Part: "una parte de un nombre, desde tres letras",
		Both: "dos nombres en cualquier orden, o sus primeras letras", Comma: "el apellido antes de la coma",
		MRN: "un n.º de historia desde el principio", BirthDate: "una fecha de nacimiento:", Phone: "los últimos dígitos de un teléfono, al menos cuatro",
		Several: "un nombre junto con un año de nacimiento", Misspelt: "un nombre mal escrito: si se encuentran pocos, siguen los pacientes con nombre parecido",
		Whom: "A quién preguntar", WhomNobody: "Pregunte al personal de administración de Chartroom.",
		WhomNotes: "Una página que avisa de un error lleva un código de la solicitud: con él se puede averiguar qué pasó.",
	},

	Errors: Errors{
		GoToList: "Ir a la lista de pacientes", ReloadList: "Volver a cargar la lista",
		Back:    "Volver a donde estaba",
		Request: func(id string) string { return "Código de la solicitud: " + id },

		Forbidden: Refusal{"Su rol no lo permite", "Si lo necesita para su trabajo, hable con quien administra Chartroom."},
		NotFound:  Refusal{"Aquí no hay nada", "Puede que la dirección esté mal escrita o que usted no tenga acceso a lo que mostraba."},
		NoData:    Refusal{"Chartroom no puede acceder a sus datos en este momento", "No se ha perdido nada. Vuelva a intentarlo dentro de unos segundos."},
		Failed: Refusal{"Algo ha fallado",
			"No es culpa suya y ha quedado registrado. Vuelva a intentarlo, o pida ayuda con el código de la solicitud que figura abajo."},
		Method:          Refusal{"Eso no es posible aquí", "Esta dirección no admite una solicitud así."},
		BadForm:         Refusal{"No se pudo leer el formulario", "Vuelva atrás, recargue la página e inténtelo de nuevo."},
		TooMuch:         Refusal{"Es demasiado", "El formulario contiene más de lo que admite esta página."},
		OtherSite:       Refusal{"Este formulario procede de otro sitio", "Por su seguridad no se ha aceptado. Abra de nuevo la página desde aquí."},
		OldPage:         Refusal{"Esta página ya no es válida", "Es de antes de que usted volviera a iniciar sesión. Recárguela e inténtelo una vez más."},
		BadListAddress:  Refusal{"Esa dirección de lista no es válida", "Abra la lista de pacientes y expórtela desde allí."},
		BadFormat:       Refusal{"Ese formato no existe", "Una lista se exporta como ndjson o csv."},
		ExportElsewhere: Refusal{"Otro sitio ha solicitado esta descarga", "Abra la lista de pacientes y expórtela desde allí."},
		OtherExports:    Refusal{"Hay otras exportaciones en curso", "Vuelva a intentarlo cuando terminen, dentro de un minuto más o menos."},
		BadAuditAddress: Refusal{"Esa dirección de auditoría no es válida", "Abra [la auditoría] y fíltrela allí."},
		ReadOnly:        "Chartroom es de solo lectura en este momento",
		ReadOnlyUntil: func(until string) string {
			return "El inicio de sesión está desactivado hasta el " + until + ". No se ha cambiado nada. Vuelva a hacerlo después de esa hora."
		},
	},
}
